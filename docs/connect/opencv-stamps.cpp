// The newest frame of a framepipe receiver in OpenCV, with the time of its capture:
// the parts of /stream have a head that cv::VideoCapture does not show. A thread
// reads all the time and keeps the newest frame only, so that a slow loop does not
// find old ones in the socket's buffer.
//     g++ -O2 opencv-stamps.cpp -o opencv-stamps -I/usr/include/opencv4 -lopencv_core -lopencv_imgcodecs
//     ./opencv-stamps 127.0.0.1 8080 /stream
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <netdb.h>
#include <opencv2/imgcodecs.hpp>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

struct Frame {
    std::vector<unsigned char> jpeg;
    double captured; // seconds since 1970 by the receiver's clock
};

class Stream {
    FILE *in = nullptr;
    std::mutex mutex;
    std::condition_variable news;
    Frame newest;          // guarded by mutex; an empty jpeg: taken already
    std::string failure;   // guarded by mutex
    std::thread reader;

    std::string line() {
        char *text = nullptr;
        size_t size = 0;
        ssize_t n = getline(&text, &size, in);
        std::string s(text, n > 0 ? n : 0);
        free(text);
        if (n <= 0)
            throw std::runtime_error("the stream ended");
        while (!s.empty() && (s.back() == '\n' || s.back() == '\r'))
            s.pop_back();
        return s;
    }

    // part reads a frame with its head.
    Frame part() {
        size_t length = 0;
        Frame frame{};
        for (std::string l; length == 0 || !l.empty();) {
            l = line();
            if (strncasecmp(l.c_str(), "Content-Length: ", 16) == 0)
                length = strtoul(l.c_str() + 16, nullptr, 10);
            else if (strncasecmp(l.c_str(), "X-Timestamp: ", 13) == 0)
                frame.captured = strtod(l.c_str() + 13, nullptr);
        }
        if (length > 64 << 20)
            throw std::runtime_error("too large");
        frame.jpeg.resize(length);
        if (fread(frame.jpeg.data(), 1, length, in) != length)
            throw std::runtime_error("the stream ended");
        return frame;
    }

public:
    Stream(const char *host, const char *port, const char *path) {
        addrinfo hints{}, *to = nullptr;
        hints.ai_socktype = SOCK_STREAM;
        if (getaddrinfo(host, port, &hints, &to) != 0)
            throw std::runtime_error("no such address");
        int fd = -1;
        for (addrinfo *a = to; a && fd < 0; a = a->ai_next) {
            fd = socket(a->ai_family, a->ai_socktype, a->ai_protocol);
            if (connect(fd, a->ai_addr, a->ai_addrlen) != 0) {
                close(fd);
                fd = -1;
            }
        }
        freeaddrinfo(to);
        if (fd < 0)
            throw std::runtime_error("cannot connect");
        std::string ask = std::string("GET ") + path + " HTTP/1.0\r\nHost: " + host + ":" + port + "\r\n\r\n";
        if (write(fd, ask.data(), ask.size()) != (ssize_t)ask.size() || !(in = fdopen(fd, "r")))
            throw std::runtime_error("cannot ask");
        if (line().find(" 200 ") == std::string::npos)
            throw std::runtime_error("the receiver refuses");
        while (!line().empty()) // the answer's head
            ;
        reader = std::thread([this] {
            try {
                for (;;) {
                    Frame frame = part();
                    std::lock_guard<std::mutex> lock(mutex);
                    newest = std::move(frame);
                    news.notify_one();
                }
            } catch (const std::exception &e) {
                std::lock_guard<std::mutex> lock(mutex);
                failure = e.what();
                news.notify_one();
            }
        });
    }
    ~Stream() {
        shutdown(fileno(in), SHUT_RDWR); // ends the thread's reading
        reader.join();
        fclose(in);
    }

    // next waits for a frame that is newer than the one before.
    cv::Mat next(double &captured) {
        std::unique_lock<std::mutex> lock(mutex);
        news.wait(lock, [this] { return !newest.jpeg.empty() || !failure.empty(); });
        if (newest.jpeg.empty())
            throw std::runtime_error(failure);
        Frame frame = std::move(newest);
        newest.jpeg.clear();
        lock.unlock();
        captured = frame.captured;
        return cv::imdecode(frame.jpeg, cv::IMREAD_COLOR);
    }
};

int main(int argc, char **argv) try {
    Stream stream(argc > 1 ? argv[1] : "127.0.0.1", argc > 2 ? argv[2] : "8080", argc > 3 ? argv[3] : "/stream");
    for (int n = 0; n < 30; n++) {
        double captured;
        cv::Mat picture = stream.next(captured);
        std::chrono::duration<double> now = std::chrono::system_clock::now().time_since_epoch();
        std::printf("%dx%d captured %.1f ms ago\n", picture.cols, picture.rows, (now.count() - captured) * 1e3);
    }
} catch (const std::exception &e) {
    std::fprintf(stderr, "error: %s\n", e.what());
    return 1;
}

// Frames of a framepipe receiver in OpenCV. Build and run:
//     g++ -O2 opencv.cpp -o opencv -I/usr/include/opencv4 -lopencv_core -lopencv_videoio
//     ./opencv http://127.0.0.1:8080/stream
#include <cstdio>
#include <opencv2/videoio.hpp>

int main(int argc, char **argv) {
    cv::VideoCapture stream(argc > 1 ? argv[1] : "http://127.0.0.1:8080/stream");
    cv::Mat picture; // BGR, reused for every frame
    for (int n = 0; n < 30 && stream.read(picture); n++)
        std::printf("%dx%d\n", picture.cols, picture.rows);
}

// A camera for programs that reach V4L2 through libc: preloaded, it answers for
// one path as a driver for raw YUYV would, and shows the frames of a file over and
// over at a steady rate. With CAMERA_JPEG it is one for JPEG: the file is one picture,
// into whose comment the time of each frame is written (bytes 6 to 13, nanoseconds
// since 1970, big endian; test/fanout). So a C program can be measured on a machine without a
// camera. The file descriptor is a timer, which select(2) and poll(2) understand.
//
// CAMERA_PATH, CAMERA_FRAMES (a file), CAMERA_WIDTH, CAMERA_HEIGHT, CAMERA_FPS.
// Source: Documentation/userspace-api/media/v4l in the kernel.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { most = 16 };

static struct {
	int fd, width, height, rate, jpeg;
	size_t bytes, frames; // of a frame; how many the file has
	char *file;
	char *buffer[most];
	int count, waiting[most], n; // buffers, and those queued, oldest first
	uint64_t seq;
} cam = {.fd = -1};

static int number(const char *name) {
	const char *s = getenv(name);
	return s ? atoi(s) : 0;
}

static int is_camera(const char *path) {
	const char *ours = getenv("CAMERA_PATH");
	return ours && path && !strcmp(path, ours);
}

static int open_camera(void) {
	int f = open(getenv("CAMERA_FRAMES"), O_RDONLY | O_CLOEXEC);
	struct stat st;
	if (f < 0 || fstat(f, &st))
		return -1;
	cam.width = number("CAMERA_WIDTH"), cam.height = number("CAMERA_HEIGHT"), cam.rate = number("CAMERA_FPS");
	cam.jpeg = number("CAMERA_JPEG");
	cam.bytes = cam.jpeg ? (size_t)st.st_size : (size_t)cam.width * cam.height * 2;
	cam.frames = cam.bytes ? st.st_size / cam.bytes : 0;
	cam.file = mmap(0, st.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, f, 0);
	close(f);
	if (!cam.frames || cam.file == MAP_FAILED)
		return errno = EINVAL, -1;
	return cam.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
}

static int open_as(const char *symbol, const char *path, int flags, mode_t mode) {
	if (is_camera(path))
		return open_camera();
	int (*next)(const char *, int, ...) = dlsym(RTLD_NEXT, symbol);
	return next(path, flags, mode);
}

int open(const char *path, int flags, ...) {
	va_list a;
	va_start(a, flags);
	mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(a, mode_t) : 0;
	va_end(a);
	return open_as("open", path, flags, mode);
}

int open64(const char *path, int flags, ...) {
	va_list a;
	va_start(a, flags);
	mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(a, mode_t) : 0;
	va_end(a);
	return open_as("open64", path, flags, mode);
}

void *mmap(void *at, size_t n, int prot, int flags, int fd, off_t offset) {
	if (fd >= 0 && fd == cam.fd)
		return offset / 4096 < cam.count ? cam.buffer[offset / 4096] : MAP_FAILED;
	void *(*next)(void *, size_t, int, int, int, off_t) = dlsym(RTLD_NEXT, "mmap");
	return next(at, n, prot, flags, fd, offset);
}

void *mmap64(void *at, size_t n, int prot, int flags, int fd, off_t offset) { return mmap(at, n, prot, flags, fd, offset); }

int munmap(void *at, size_t n) {
	for (int i = 0; i < cam.count; i++)
		if (at == cam.buffer[i])
			return 0;
	int (*next)(void *, size_t) = dlsym(RTLD_NEXT, "munmap");
	return next(at, n);
}

static void describe(struct v4l2_pix_format *p) {
	memset(p, 0, sizeof *p);
	p->width = cam.width, p->height = cam.height, p->pixelformat = cam.jpeg ? V4L2_PIX_FMT_JPEG : V4L2_PIX_FMT_YUYV;
	p->field = V4L2_FIELD_NONE, p->bytesperline = cam.jpeg ? 0 : 2 * cam.width, p->sizeimage = cam.bytes, p->colorspace = V4L2_COLORSPACE_SRGB;
}

static int request(struct v4l2_requestbuffers *r) {
	if (r->memory != V4L2_MEMORY_MMAP)
		return errno = EINVAL, -1;
	cam.n = 0;
	if (r->count > most)
		r->count = most;
	for (cam.count = 0; cam.count < (int)r->count; cam.count++) {
		char **b = &cam.buffer[cam.count];
		if (!*b && !(*b = aligned_alloc(4096, (cam.bytes + 4095) / 4096 * 4096)))
			return errno = ENOMEM, -1;
		memcpy(*b, cam.file + cam.count % cam.frames * cam.bytes, cam.bytes); // as by DMA: not at the program's cost later
	}
	r->capabilities = V4L2_BUF_CAP_SUPPORTS_MMAP;
	return 0;
}

static int take(struct v4l2_buffer *b) {
	uint64_t ticks;
	if (!cam.n)
		return errno = EAGAIN, -1;
	if (read(cam.fd, &ticks, sizeof ticks) != sizeof ticks)
		return -1;
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	cam.seq += ticks;
	b->index = cam.waiting[0];
	memmove(cam.waiting, cam.waiting + 1, --cam.n * sizeof *cam.waiting);
	b->bytesused = b->length = cam.bytes, b->flags = V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC | V4L2_BUF_FLAG_MAPPED, b->field = V4L2_FIELD_NONE;
	b->sequence = cam.seq, b->memory = V4L2_MEMORY_MMAP, b->m.offset = b->index * 4096;
	b->timestamp.tv_sec = now.tv_sec, b->timestamp.tv_usec = now.tv_nsec / 1000;
	if (cam.jpeg && cam.bytes > 14) {
		clock_gettime(CLOCK_REALTIME, &now);
		uint64_t t = now.tv_sec * 1000000000ull + now.tv_nsec;
		for (int i = 0; i < 8; i++)
			cam.buffer[b->index][6 + i] = t >> (56 - 8 * i);
	}
	return 0;
}

int ioctl(int fd, unsigned long what, ...) {
	va_list a;
	va_start(a, what);
	void *arg = va_arg(a, void *);
	va_end(a);
	if (fd < 0 || fd != cam.fd) {
		int (*next)(int, unsigned long, ...) = dlsym(RTLD_NEXT, "ioctl");
		return next(fd, what, arg);
	}
	switch ((uint32_t)what) {
	case VIDIOC_QUERYCAP: {
		struct v4l2_capability *c = arg;
		memset(c, 0, sizeof *c);
		strcpy((char *)c->driver, "bench"), strcpy((char *)c->card, "bench camera"), strcpy((char *)c->bus_info, "platform:bench");
		c->device_caps = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING;
		c->capabilities = c->device_caps | V4L2_CAP_DEVICE_CAPS;
		return 0;
	}
	case VIDIOC_ENUM_FMT: {
		struct v4l2_fmtdesc *f = arg;
		if (f->index)
			return errno = EINVAL, -1;
		f->pixelformat = cam.jpeg ? V4L2_PIX_FMT_JPEG : V4L2_PIX_FMT_YUYV;
		return 0;
	}
	case VIDIOC_S_FMT:
	case VIDIOC_G_FMT:
	case VIDIOC_TRY_FMT:
		describe(&((struct v4l2_format *)arg)->fmt.pix);
		return 0;
	case VIDIOC_G_PARM:
	case VIDIOC_S_PARM: {
		struct v4l2_captureparm *p = &((struct v4l2_streamparm *)arg)->parm.capture;
		p->capability = V4L2_CAP_TIMEPERFRAME, p->timeperframe.numerator = 1, p->timeperframe.denominator = cam.rate;
		return 0;
	}
	case VIDIOC_ENUMINPUT:
		return ((struct v4l2_input *)arg)->index ? (errno = EINVAL, -1) : 0;
	case VIDIOC_G_INPUT:
		*(int *)arg = 0;
		return 0;
	case VIDIOC_S_INPUT:
		return 0;
	case VIDIOC_REQBUFS:
		return request(arg);
	case VIDIOC_QUERYBUF: {
		struct v4l2_buffer *b = arg;
		if ((int)b->index >= cam.count)
			return errno = EINVAL, -1;
		b->length = cam.bytes, b->m.offset = b->index * 4096, b->memory = V4L2_MEMORY_MMAP;
		return 0;
	}
	case VIDIOC_QBUF:
		if ((int)((struct v4l2_buffer *)arg)->index >= cam.count || cam.n == most)
			return errno = EINVAL, -1;
		cam.waiting[cam.n++] = ((struct v4l2_buffer *)arg)->index;
		return 0;
	case VIDIOC_DQBUF:
		return take(arg);
	case VIDIOC_STREAMON:
	case VIDIOC_STREAMOFF: {
		struct itimerspec every = {0};
		if ((uint32_t)what == VIDIOC_STREAMON)
			every.it_interval.tv_nsec = every.it_value.tv_nsec = 1000000000 / cam.rate;
		return timerfd_settime(cam.fd, 0, &every, 0);
	}
	}
	return errno = ENOTTY, -1;
}

//go:build cgo && (linux || darwin)

package turbojpeg

/*
#cgo linux LDFLAGS: -ldl
#include <dlfcn.h>
#include <stdlib.h>

typedef void *tjhandle;
static struct {
	tjhandle (*initCompress)(void);
	tjhandle (*initDecompress)(void);
	int (*destroy)(tjhandle);
	int (*compressFromYUVPlanes)(tjhandle, const unsigned char **, int, const int *, int, int, unsigned char **, unsigned long *, int, int);
	int (*compress2)(tjhandle, const unsigned char *, int, int, int, int, unsigned char **, unsigned long *, int, int, int);
	int (*decompress2)(tjhandle, const unsigned char *, unsigned long, unsigned char *, int, int, int, int, int);
	int (*decompressToYUVPlanes)(tjhandle, const unsigned char *, unsigned long, unsigned char **, int, int *, int, int);
	char *(*getErrorStr2)(tjhandle);
	int (*getErrorCode)(tjhandle);
	unsigned long (*bufSize)(int, int, int);
} tj;

// tjOpen returns NULL, or what is missing.
static const char *tjOpen(const char *name) {
	void *lib = dlopen(name, RTLD_NOW | RTLD_LOCAL);
	if (!lib) return dlerror();
#define SYM(field, sym) if (!(*(void **)&tj.field = dlsym(lib, sym))) { dlclose(lib); return sym " is missing in it"; }
	SYM(initCompress, "tjInitCompress")
	SYM(initDecompress, "tjInitDecompress")
	SYM(destroy, "tjDestroy")
	SYM(compressFromYUVPlanes, "tjCompressFromYUVPlanes")
	SYM(compress2, "tjCompress2")
	SYM(decompress2, "tjDecompress2")
	SYM(decompressToYUVPlanes, "tjDecompressToYUVPlanes")
	SYM(getErrorStr2, "tjGetErrorStr2")
	SYM(getErrorCode, "tjGetErrorCode")
	SYM(bufSize, "tjBufSize")
	return NULL;
}
static tjhandle tjNewCompress(void) { return tj.initCompress(); }
static tjhandle tjNewDecompress(void) { return tj.initDecompress(); }
static void tjFree(tjhandle h) { tj.destroy(h); }
static const char *tjError(tjhandle h) { return tj.getErrorStr2(h); }
static unsigned long tjSize(int w, int h, int sub) { return tj.bufSize(w, h, sub); }

// These return the length, or -1.
static long tjEncodePlanes(tjhandle h, const unsigned char *y, const unsigned char *u, const unsigned char *v, int ys, int us, int vs,
		int width, int height, int sub, unsigned char *dst, unsigned long room, int quality, int flags) {
	const unsigned char *planes[3] = {y, u, v};
	int strides[3] = {ys, us, vs};
	unsigned long n = room;
	if (tj.compressFromYUVPlanes(h, planes, width, strides, height, sub, &dst, &n, quality, flags)) return -1;
	return (long)n;
}
static long tjEncodePixels(tjhandle h, const unsigned char *p, int stride, int width, int height, int format,
		unsigned char *dst, unsigned long room, int sub, int quality, int flags) {
	unsigned long n = room;
	if (tj.compress2(h, p, width, stride, height, format, &dst, &n, sub, quality, flags)) return -1;
	return (long)n;
}
// These return 0, 1 for a warning, or -1.
static int tjDecodePixels(tjhandle h, const unsigned char *b, unsigned long n, unsigned char *dst, int width, int stride, int height, int format, int flags) {
	if (!tj.decompress2(h, b, n, dst, width, stride, height, format, flags)) return 0;
	return tj.getErrorCode(h) == 0 ? 1 : -1;
}
static int tjDecodePlanes(tjhandle h, const unsigned char *b, unsigned long n, unsigned char *y, unsigned char *u, unsigned char *v,
		int ys, int us, int vs, int width, int height, int flags) {
	unsigned char *planes[3] = {y, u, v};
	int strides[3] = {ys, us, vs};
	if (!tj.decompressToYUVPlanes(h, b, n, planes, width, strides, height, flags)) return 0;
	return tj.getErrorCode(h) == 0 ? 1 : -1;
}
*/
import "C"

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"unsafe"
)

const (
	flagFastUpsample = 256
	flagNoRealloc    = 1024
	flagAccurateDCT  = 4096
)

// names are where the library may be, by system.
var names = map[string][]string{
	"linux":  {"libturbojpeg.so.0"},
	"darwin": {"libturbojpeg.dylib", "/opt/homebrew/opt/jpeg-turbo/lib/libturbojpeg.dylib", "/usr/local/opt/jpeg-turbo/lib/libturbojpeg.dylib"},
}

var open = sync.OnceValues(func() (string, error) {
	var first error
	for _, name := range names[runtime.GOOS] {
		c := C.CString(name)
		msg := C.tjOpen(c)
		C.free(unsafe.Pointer(c))
		if msg == nil {
			return name, nil
		}
		if first == nil {
			first = fmt.Errorf("%s: %s (Debian: apt install libturbojpeg0)", name, C.GoString(msg))
		}
	}
	return "", first
})

// Open loads the library, once, and returns the name it was found by.
func Open() (name string, err error) { return open() }

type handle struct{ h C.tjhandle }

func (h *handle) err() error { return errors.New("turbojpeg: " + C.GoString(C.tjError(h.h))) }

// Encoder compresses.
type Encoder struct{ handle }

// NewEncoder fails if there is no library.
func NewEncoder() (*Encoder, error) {
	if _, err := Open(); err != nil {
		return nil, err
	}
	e := &Encoder{}
	if e.h = C.tjNewCompress(); e.h == nil {
		return nil, errors.New("turbojpeg: no memory for an encoder")
	}
	runtime.AddCleanup(e, func(h C.tjhandle) { C.tjFree(h) }, e.h)
	return e, nil
}

// Size bounds the length of a compressed picture.
func Size(width, height, sampling int) int {
	return int(C.tjSize(C.int(width), C.int(height), C.int(sampling)))
}

func ptr(b []byte) *C.uchar { return (*C.uchar)(unsafe.Pointer(unsafe.SliceData(b))) }

// Planes compresses planar samples into dst, which has at least Size bytes, and
// returns how many that makes.
func (e *Encoder) Planes(dst []byte, planes *[3][]byte, strides *[3]int, width, height, sampling, quality int) (int, error) {
	n := C.tjEncodePlanes(e.h, ptr(planes[0]), ptr(planes[1]), ptr(planes[2]), C.int(strides[0]), C.int(strides[1]), C.int(strides[2]),
		C.int(width), C.int(height), C.int(sampling), ptr(dst), C.ulong(len(dst)), C.int(quality), flagNoRealloc|flagAccurateDCT)
	if n < 0 {
		return 0, e.err()
	}
	return int(n), nil
}

// Pixels compresses packed or grey pixels in the same way.
func (e *Encoder) Pixels(dst, p []byte, stride, width, height, format, sampling, quality int) (int, error) {
	n := C.tjEncodePixels(e.h, ptr(p), C.int(stride), C.int(width), C.int(height), C.int(format), ptr(dst), C.ulong(len(dst)), C.int(sampling), C.int(quality), flagNoRealloc|flagAccurateDCT)
	if n < 0 {
		return 0, e.err()
	}
	return int(n), nil
}

// Decoder decompresses.
type Decoder struct{ handle }

// NewDecoder fails if there is no library.
func NewDecoder() (*Decoder, error) {
	if _, err := Open(); err != nil {
		return nil, err
	}
	d := &Decoder{}
	if d.h = C.tjNewDecompress(); d.h == nil {
		return nil, errors.New("turbojpeg: no memory for a decoder")
	}
	runtime.AddCleanup(d, func(h C.tjhandle) { C.tjFree(h) }, d.h)
	return d, nil
}

func (d *Decoder) result(r C.int) error {
	switch r {
	case 0:
		return nil
	case 1:
		return ErrDamaged
	}
	return d.err()
}

// Pixels decompresses b to the size given, which is the picture's or 1/2, 1/4 or 1/8
// of it, rounded up. With ErrDamaged there is a picture nevertheless. Without fancy,
// chroma is repeated and not interpolated.
func (d *Decoder) Pixels(dst, b []byte, width, stride, height, format int, fancy bool) error {
	flags := C.int(flagAccurateDCT)
	if !fancy {
		flags |= flagFastUpsample
	}
	return d.result(C.tjDecodePixels(d.h, ptr(b), C.ulong(len(b)), ptr(dst), C.int(width), C.int(stride), C.int(height), C.int(format), flags))
}

// Planes decompresses b to planes of its own sampling, of the size given as Pixels does.
func (d *Decoder) Planes(planes *[3][]byte, strides *[3]int, b []byte, width, height int) error {
	return d.result(C.tjDecodePlanes(d.h, ptr(b), C.ulong(len(b)), ptr(planes[0]), ptr(planes[1]), ptr(planes[2]),
		C.int(strides[0]), C.int(strides[1]), C.int(strides[2]), C.int(width), C.int(height), flagAccurateDCT))
}

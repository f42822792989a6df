// Package turbojpeg calls the TurboJPEG library (libjpeg-turbo, version 1.4 or newer)
// where the machine has it. It is found at run time: the program is built without its
// headers and does not need it to start. In builds without cgo, and on systems that
// are not Linux or macOS, Open says so.
//
// It knows nothing of frames and formats; package mjpeg, the only one to import it,
// does. Its facts are from libjpeg-turbo's turbojpeg.h: the names tj* are of API 2.1
// and kept by version 3.
//
// # Memory
//
// All buffers are the caller's and are not kept: the library reads and writes them
// during a call. An Encoder or Decoder has memory in the library as long as it can be
// reached, and is for one goroutine at a time.
package turbojpeg

import "errors"

// ErrDamaged says that a picture was decoded, but its data end early or make no sense.
var ErrDamaged = errors.New("turbojpeg: damaged picture")

// Sampling of chroma, in the library's numbers.
const (
	Sampling422  = 1
	Sampling420  = 2
	SamplingGrey = 3
)

// Pixel formats, in the library's numbers.
const (
	RGB  = 0
	BGR  = 1
	Grey = 6
)

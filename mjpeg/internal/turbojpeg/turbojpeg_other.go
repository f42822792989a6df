//go:build !cgo || !(linux || darwin)

package turbojpeg

import "errors"

var errBuild = errors.New("this program was built without cgo, or for a system on which the library is not looked for")

// Open says that there is no library.
func Open() (name string, err error) { return "", errBuild }

// Encoder does not exist in this build.
type Encoder struct{}

// NewEncoder fails.
func NewEncoder() (*Encoder, error) { return nil, errBuild }

// Size is 0.
func Size(width, height, sampling int) int { return 0 }

// Planes fails.
func (e *Encoder) Planes(dst []byte, planes *[3][]byte, strides *[3]int, width, height, sampling, quality int) (int, error) {
	return 0, errBuild
}

// Pixels fails.
func (e *Encoder) Pixels(dst, p []byte, stride, width, height, format, sampling, quality int) (int, error) {
	return 0, errBuild
}

// Decoder does not exist in this build.
type Decoder struct{}

// NewDecoder fails.
func NewDecoder() (*Decoder, error) { return nil, errBuild }

// Pixels fails.
func (d *Decoder) Pixels(dst, b []byte, width, stride, height, format int, fancy bool) error {
	return errBuild
}

// Planes fails.
func (d *Decoder) Planes(planes *[3][]byte, strides *[3]int, b []byte, width, height int) error {
	return errBuild
}

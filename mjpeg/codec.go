package mjpeg

import (
	"errors"
	"fmt"

	"framepipe/frame"
)

// Encoder makes JPEGs of raw frames. It is not for concurrent use.
type Encoder interface {
	// Encode appends the compressed picture to dst[:0] and returns it; with
	// enough capacity dst itself is used. Quality is 1..100.
	Encode(dst []byte, f *frame.Frame, quality int) ([]byte, error)
	// Name says which implementation this is, for reports.
	Name() string
}

// Decoder makes raw pictures of JPEGs. It is not for concurrent use.
type Decoder interface {
	// Decode writes the picture into dst (allocated if its capacity is too small)
	// in the tight layout of the asked format, which is I420, RGB24, BGR24 or GREY.
	// With a *DamagedError the picture is usable as far as it goes: the compressed
	// data were cut short or made no sense. With any other error there is none.
	Decode(dst []byte, b []byte, format frame.FourCC) (out []byte, width, height int, err error)
	// DecodeScaled is Decode at 1/scale of the size (1, 2, 4 or 8), rounded up; see
	// Scaled. It takes less time than decoding at full size.
	DecodeScaled(dst []byte, b []byte, format frame.FourCC, scale int) (out []byte, width, height int, err error)
	// Name says which implementation this is, for reports.
	Name() string
}

// ErrLimit says that a picture is larger than what may be decoded.
var ErrLimit = errors.New("picture exceeds the decoding limits")

// ErrUnsupported says that no decoder here reads this kind of JPEG.
var ErrUnsupported = errors.New("unsupported kind of JPEG")

// DefaultMaxPixels allows the largest still of today's camera modules.
const DefaultMaxPixels = 64 << 20

// Limits bound what a decoder takes on. The zero value is the default.
type Limits struct {
	MaxPixels int // width times height; 0 = DefaultMaxPixels
}

// Check refuses a picture by its header and length alone.
func (l Limits) Check(info *Info, length int) error {
	most := int64(l.MaxPixels)
	if most <= 0 {
		most = DefaultMaxPixels
	}
	if info.Progressive {
		most /= 4 // its coefficients have to be kept, 4 bytes each
	}
	pixels := int64(info.Width) * int64(info.Height)
	if pixels > most {
		return fmt.Errorf("%w: %dx%d has more than %d pixels", ErrLimit, info.Width, info.Height, most)
	}
	// Every 8x8 block takes at least one bit, so a short file cannot make us
	// allocate a large picture.
	blocks := int64((info.Width+7)/8) * int64((info.Height+7)/8)
	if int64(length)*8 < blocks {
		return fmt.Errorf("%w: %d bytes cannot hold %dx%d", ErrLimit, length, info.Width, info.Height)
	}
	if info.Lossless || info.Precision != 8 {
		return fmt.Errorf("%w: %d bits per sample, lossless or arithmetic coding", ErrUnsupported, info.Precision)
	}
	return nil
}

package pixfmt

import (
	"errors"
	"fmt"
	"math"

	"framepipe/frame"
)

// MaxDim is the largest width or height: JPEG's, and so that of everything here.
const MaxDim = 65535

var (
	// ErrSize says that width, height or stride are impossible.
	ErrSize = errors.New("impossible picture size")
	// ErrShort says that a buffer is too small for its picture.
	ErrShort = errors.New("buffer too short for the picture")
	// ErrUnsupported says that this pair of formats is not converted.
	ErrUnsupported = errors.New("unsupported format or conversion")
)

// Image is a picture in memory that belongs to somebody else.
type Image struct {
	Format        frame.FourCC
	Width, Height int
	Planes        [3][]byte // unused ones are nil
	Strides       [3]int    // bytes from one row to the next
}

// half is n/2, rounded up: the size of a halved chroma plane.
func half(n int) int { return (n + 1) >> 1 }

// Stride is the smallest distance between rows of the first plane, or 0 for
// formats that have no rows.
func Stride(f frame.FourCC, width int) int {
	switch f {
	case frame.I420, frame.GREY:
		return width
	case frame.NV12:
		return width + width&1 // its chroma rows are that long
	case frame.YUYV, frame.UYVY:
		return 4 * half(width)
	case frame.RGB24, frame.BGR24:
		return 3 * width
	}
	return 0
}

// Size is the number of bytes of a picture whose first plane has this stride
// (0: the smallest). It is 0 if there is no such picture: for a compressed or
// unknown format, a size out of range, a stride smaller than a row, or a result
// beyond 2 GiB.
func Size(f frame.FourCC, width, height, stride int) int {
	if width <= 0 || height <= 0 || width > MaxDim || height > MaxDim {
		return 0
	}
	least := Stride(f, width)
	if stride == 0 {
		stride = least
	}
	if least == 0 || stride < least || stride > 8*MaxDim {
		return 0
	}
	s, h := int64(stride), int64(height)
	n := s * h
	switch f {
	case frame.I420:
		n += 2 * ((s + 1) / 2) * ((h + 1) / 2)
	case frame.NV12:
		n += s * ((h + 1) / 2)
	}
	if n > math.MaxInt32 {
		return 0
	}
	return int(n)
}

// View lays an Image over data. Stride 0 is the smallest.
func View(f frame.FourCC, width, height, stride int, data []byte) (Image, error) {
	return ViewPadded(f, width, height, stride, height, data)
}

// ViewPadded is View for a buffer whose planes have more rows than the picture:
// rows is the height that the planes were laid out for.
func ViewPadded(f frame.FourCC, width, height, stride, rows int, data []byte) (Image, error) {
	n := Size(f, width, rows, stride)
	if n == 0 || rows < height || height <= 0 {
		return Image{}, fmt.Errorf("%w: %s %dx%d, stride %d, %d rows", ErrSize, f, width, height, stride, rows)
	}
	if len(data) < n {
		return Image{}, fmt.Errorf("%w: %s %dx%d with stride %d needs %d bytes, has %d", ErrShort, f, width, height, stride, n, len(data))
	}
	if stride == 0 {
		stride = Stride(f, width)
	}
	m := Image{Format: f, Width: width, Height: height}
	luma := stride * rows
	m.Planes[0], m.Strides[0] = data[:luma:luma], stride
	switch f {
	case frame.I420:
		cs := half(stride)
		cn := cs * half(rows)
		m.Planes[1], m.Strides[1] = data[luma:luma+cn:luma+cn], cs
		m.Planes[2], m.Strides[2] = data[luma+cn:luma+2*cn:luma+2*cn], cs
	case frame.NV12:
		cn := stride * half(rows)
		m.Planes[1], m.Strides[1] = data[luma:luma+cn:luma+cn], stride
	}
	return m, nil
}

// FrameView lays an Image over an uncompressed frame.
func FrameView(f *frame.Frame) (Image, error) {
	return View(f.Format, f.Width, f.Height, f.Stride, f.Data)
}

// check makes sure that every row the picture needs lies inside its plane, so
// that the kernels may slice without looking.
func (m *Image) check() error {
	if m.Width <= 0 || m.Height <= 0 || m.Width > MaxDim || m.Height > MaxDim {
		return fmt.Errorf("%w: %s %dx%d", ErrSize, m.Format, m.Width, m.Height)
	}
	sh := shapeOf(m.Format)
	if sh == nil {
		return fmt.Errorf("%w: %s", ErrUnsupported, m.Format)
	}
	for i := range sh {
		w, h := sh[i].rowBytes(m.Width), sh[i].rows(m.Height)
		if m.Strides[i] < w {
			return fmt.Errorf("%w: %s %dx%d with stride %d in plane %d", ErrSize, m.Format, m.Width, m.Height, m.Strides[i], i)
		}
		if need := int64(m.Strides[i])*int64(h-1) + int64(w); int64(len(m.Planes[i])) < need {
			return fmt.Errorf("%w: %s %dx%d, plane %d has %d of %d bytes", ErrShort, m.Format, m.Width, m.Height, i, len(m.Planes[i]), need)
		}
	}
	return nil
}

// row is n bytes of a row of a plane.
func (m *Image) row(plane, y, n int) []byte {
	o := y * m.Strides[plane]
	return m.Planes[plane][o : o+n : o+n]
}

// shape describes one plane: bytes of one unit, and by how much units are
// thinner than pixels in each direction.
type shape struct{ unit, sx, sy int }

func (s shape) cols(w int) int     { return (w + s.sx - 1) / s.sx }
func (s shape) rows(h int) int     { return (h + s.sy - 1) / s.sy }
func (s shape) rowBytes(w int) int { return s.cols(w) * s.unit }

var (
	shapeI420 = []shape{{1, 1, 1}, {1, 2, 2}, {1, 2, 2}}
	shapeNV12 = []shape{{1, 1, 1}, {2, 2, 2}}
	shapeYUYV = []shape{{4, 2, 1}}
	shapeRGB  = []shape{{3, 1, 1}}
	shapeGREY = []shape{{1, 1, 1}}
)

func shapeOf(f frame.FourCC) []shape {
	switch f {
	case frame.I420:
		return shapeI420
	case frame.NV12:
		return shapeNV12
	case frame.YUYV, frame.UYVY:
		return shapeYUYV
	case frame.RGB24, frame.BGR24:
		return shapeRGB
	case frame.GREY:
		return shapeGREY
	}
	return nil
}

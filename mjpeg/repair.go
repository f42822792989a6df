package mjpeg

// Repairs says what had to be mended in one or more pictures.
type Repairs struct {
	DHT      int // missing Huffman tables inserted
	EOI      int // missing end markers appended: the picture may be cut short
	Trailing int // bytes behind the end marker cut off
	Damaged  int // pictures decoded in part, because their data end early or make no sense
}

// Any reports whether anything was wrong.
func (r Repairs) Any() bool { return r != Repairs{} }

// Add adds s to r.
func (r *Repairs) Add(s Repairs) {
	r.DHT += s.DHT
	r.EOI += s.EOI
	r.Trailing += s.Trailing
	r.Damaged += s.Damaged
}

// Check reads the header and says what Repair would do, without touching b. For
// a sound picture that takes some tens of nanoseconds: if its last two bytes are
// EOI, its compressed data is not looked at.
func Check(b []byte) (Info, Repairs, error) {
	info, err := Header(b)
	if err != nil {
		return info, Repairs{}, err
	}
	var r Repairs
	if !info.HasDHT && !info.Lossless {
		r.DHT = 1
	}
	n := len(b)
	if n-2 < info.Scan || b[n-2] != 0xff || b[n-1] != mEOI {
		end := n
		for end > info.Scan && b[end-1] == 0 { // the usual padding
			end--
		}
		if end-2 >= info.Scan && b[end-2] == 0xff && b[end-1] == mEOI {
			r.Trailing = n - end
			return info, r, nil
		}
		w := walker{pos: info.Scan, scan: true, sof: true}
		switch w.walk(b) {
		case walkDone:
			r.Trailing = n - w.pos
		default:
			r.EOI, r.Trailing = 1, n-cut(b, info.Scan, w)
		}
		if end <= info.Scan {
			return info, Repairs{}, ErrTruncated
		}
	}
	return info, r, nil
}

// cut is where a picture without EOI ends: at the next picture if the walk found
// one, else behind its last byte that is not padding. A lone FF at the end, the
// first half of a marker, goes too.
func cut(b []byte, scan int, w walker) int {
	end := len(b)
	if w.pos+2 <= len(b) && b[w.pos] == 0xff && b[w.pos+1] == mSOI {
		end = w.pos
	}
	for end > scan && b[end-1] == 0 && (end-2 < scan || b[end-2] != 0xff) {
		end--
	}
	if end > scan && b[end-1] == 0xff {
		end--
	}
	return end
}

// Repair makes a decodable picture of what a webcam gave: standard Huffman tables
// are inserted before the first scan if there are none, bytes behind the end
// marker are cut, a missing end marker is appended. It works in b's own memory, up
// to its capacity, and allocates only if that is too small. A picture that needs
// nothing is returned as it is; what has no usable header is an error.
func Repair(b []byte) ([]byte, Repairs, error) {
	info, r, err := Check(b)
	if err != nil || !r.Any() {
		return b, r, err
	}
	need := RepairedSize(len(b), r)
	if cap(b) < need {
		return AppendRepaired(make([]byte, 0, need), b, info, r), r, nil
	}
	b = b[:len(b)-r.Trailing]
	if r.DHT > 0 {
		n := len(b)
		b = b[:n+len(standardDHT)]
		copy(b[info.SOS+len(standardDHT):], b[info.SOS:n])
		copy(b[info.SOS:], standardDHT)
	}
	if r.EOI > 0 {
		b = append(b, 0xff, mEOI)
	}
	return b, r, nil
}

// RepairedSize is the length that a picture of n bytes has after these repairs.
func RepairedSize(n int, r Repairs) int { return n - r.Trailing + r.DHT*len(standardDHT) + 2*r.EOI }

// AppendRepaired appends to dst the picture b, mended as Check found necessary.
// With enough capacity (RepairedSize) it does not allocate.
func AppendRepaired(dst, b []byte, info Info, r Repairs) []byte {
	b = b[:len(b)-r.Trailing]
	dst = append(dst, b[:info.SOS]...)
	if r.DHT > 0 {
		dst = append(dst, standardDHT...)
	}
	dst = append(dst, b[info.SOS:]...)
	if r.EOI > 0 {
		dst = append(dst, 0xff, mEOI)
	}
	return dst
}

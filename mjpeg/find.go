package mjpeg

import "bytes"

// Find returns where in b its first picture begins and ends, as a Splitter would
// find it, or ok false if there is none.
func Find(b []byte) (start, end int, ok bool) {
	for start < len(b) {
		k := bytes.Index(b[start:], soi)
		if k < 0 {
			break
		}
		start += k
		var w walker
		switch w.walk(b[start:]) {
		case walkBroken:
			start += w.pos
		case walkMore:
			return start, len(b), true
		default:
			return start, start + w.pos, true
		}
	}
	return len(b), len(b), false
}

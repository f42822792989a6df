//go:build linux

package main

import "slices"

// Sizes and frame intervals (in 100 ns) on offer, as MJPG.
var (
	sizes     = [][2]int{{640, 480}, {320, 240}, {160, 120}, {1280, 720}}
	intervals = []uint32{333333, 500000, 1000000}
)

const (
	payloadSize  = 16384
	bulkEndpoint = 1

	terminalID = 1
	unitID     = 2
	outputID   = 3
)

type descriptors struct{ product string }

func u16(v int) []byte    { return []byte{byte(v), byte(v >> 8)} }
func u32(v uint32) []byte { return []byte{byte(v), byte(v >> 8), byte(v >> 16), byte(v >> 24)} }

// d puts its length before a descriptor.
func d(parts ...[]byte) []byte {
	b := slices.Concat(parts...)
	return append([]byte{byte(len(b) + 1)}, b...)
}

// device: USB 2.0, class "miscellaneous, interface association", 1d6b:0102.
func (descriptors) device() []byte {
	return d([]byte{1, 0x00, 0x02, 0xef, 2, 1, 64, 0x6b, 0x1d, 0x02, 0x01, 0, 1, 1, 2, 3, 1})
}

func (descriptors) configuration() []byte {
	units := slices.Concat(
		// camera terminal: auto-exposure mode (bit 1), exposure time absolute (bit 3)
		d([]byte{0x24, 2, terminalID, 0x01, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0x0a, 0, 0}),
		// processing unit: brightness (bit 0)
		d([]byte{0x24, 5, unitID, terminalID, 0, 0, 2, 1, 0, 0, 0}),
		d([]byte{0x24, 3, outputID, 0x01, 0x01, 0, unitID, 0}))
	control := slices.Concat([]byte{13, 0x24, 1, 0x00, 0x01}, u16(13+len(units)), u32(48000000), []byte{1, 1}, units)

	var frames []byte
	for i, s := range sizes {
		parts := [][]byte{{0x24, 7, byte(i + 1), 0}, u16(s[0]), u16(s[1]), u32(1000000), u32(80000000), u32(maxPicture(s)), u32(intervals[0]), {byte(len(intervals))}}
		for _, v := range intervals {
			parts = append(parts, u32(v))
		}
		frames = append(frames, d(parts...)...)
	}
	formats := slices.Concat(d([]byte{0x24, 6, 1, byte(len(sizes)), 1, 1, 0, 0, 0, 0}), frames, d([]byte{0x24, 0x0d, 1, 1, 4}))
	streaming := slices.Concat([]byte{14, 0x24, 1, 1}, u16(14+len(formats)), []byte{0x80 | bulkEndpoint, 0, outputID, 0, 0, 0, 1, 0}, formats)

	body := slices.Concat(
		d([]byte{0x0b, 0, 2, 0x0e, 3, 0, 0}), // the two interfaces are one function
		d([]byte{4, 0, 0, 0, 0x0e, 1, 0, 0}), control,
		d([]byte{4, 1, 0, 1, 0x0e, 2, 0, 0}), streaming,
		d([]byte{5, 0x80 | bulkEndpoint, 2, 0x00, 0x02, 0}))
	return slices.Concat([]byte{9, 2}, u16(9+len(body)), []byte{2, 1, 0, 0xc0, 0}, body)
}

func (ds descriptors) text(i int) []byte {
	if i == 0 {
		return d([]byte{3, 9, 4}) // English
	}
	out := []byte{3}
	for _, c := range []byte([]string{"", "framepipe", ds.product, "0001"}[i]) {
		out = append(out, c, 0)
	}
	return d(out)
}

func maxPicture(s [2]int) uint32 { return uint32(s[0] * s[1] * 2) }

// probe is the streaming parameters' negotiation (VS_PROBE_CONTROL).
type probe [26]byte

func newProbe() probe {
	var p probe
	le.PutUint32(p[4:], intervals[0])
	p.settle()
	return p
}

// settle turns what the host proposed into what the camera does.
func (p *probe) settle() {
	p[2] = 1
	if p[3] < 1 || int(p[3]) > len(sizes) {
		p[3] = 1
	}
	best := intervals[0]
	for _, v := range intervals {
		if le.Uint32(p[4:]) >= v {
			best = v
		}
	}
	le.PutUint32(p[4:], best)
	le.PutUint32(p[18:], maxPicture(sizes[p[3]-1]))
	le.PutUint32(p[22:], payloadSize)
}

//go:build linux

package main

import (
	"slices"
	"time"
)

func (p *probe) size() (int, int) { s := sizes[p[3]-1]; return s[0], s[1] }

func (p *probe) interval() time.Duration { return time.Duration(le.Uint32(p[4:])) * 100 }

// Requests of the video class.
const (
	setCur  = 0x01
	getCur  = 0x81
	getMin  = 0x82
	getMax  = 0x83
	getRes  = 0x84
	getLen  = 0x85
	getInfo = 0x86
	getDef  = 0x87
)

type setup []byte

func (s setup) toHost() bool         { return s[0]&0x80 != 0 }
func (s setup) class() bool          { return s[0]&0x60 == 0x20 }
func (s setup) request() byte        { return s[1] }
func (s setup) selector() byte       { return s[3] }
func (s setup) index() (lo, hi byte) { return s[4], s[5] }
func (s setup) length() int          { return int(le.Uint16(s[6:])) }

// value is a control of a unit: little-endian, of that many bytes.
type value struct {
	size                    int
	cur, min, max, res, def uint32
}

type controls map[[2]byte]*value // by unit and selector

func newControls() controls {
	return controls{
		{unitID, 0x02}:     {size: 2, cur: 128, max: 255, res: 1, def: 128},          // brightness
		{terminalID, 0x02}: {size: 1, cur: 2, res: 0x03, def: 2},                     // exposure: res is the set of modes, 1 = manual, 2 = automatic
		{terminalID, 0x04}: {size: 4, cur: 156, min: 3, max: 2047, res: 1, def: 156}, // exposure time in 100 us
	}
}

func (v *value) answer(request byte) ([]byte, bool) {
	n, ok := map[byte]uint32{getCur: v.cur, getMin: v.min, getMax: v.max, getRes: v.res, getDef: v.def}[request]
	switch {
	case ok:
		return u32(n)[:v.size], true
	case request == getInfo:
		return []byte{3}, true // can be read and set
	case request == getLen:
		return u16(v.size), true
	}
	return nil, false
}

// control answers a control transfer. Called with mu held.
func (c *camera) control(seq uint32, s setup, out []byte) {
	r, ok := c.dispatch(s, out)
	switch {
	case !ok:
		c.reply(retSubmit, seq, statusStall, 0, nil)
	case s.toHost():
		r = r[:min(len(r), s.length())]
		c.reply(retSubmit, seq, statusOK, len(r), r)
	default:
		c.reply(retSubmit, seq, statusOK, len(out), nil)
	}
}

func (c *camera) dispatch(s setup, out []byte) ([]byte, bool) {
	if !s.class() {
		return c.standard(s)
	}
	iface, unit := s.index()
	if iface == 1 { // streaming: probe is selector 1, commit 2
		return c.negotiate(s, out)
	}
	v := c.controls[[2]byte{unit, s.selector()}]
	if v == nil {
		if unit == 0 && s.request() == getCur {
			return []byte{0}, true // the last error: none
		}
		return nil, false
	}
	if s.request() == setCur {
		if len(out) < v.size {
			return nil, false
		}
		v.cur = le.Uint32(append(slices.Clone(out[:v.size]), 0, 0, 0, 0))
		return nil, true
	}
	return v.answer(s.request())
}

func (c *camera) standard(s setup) ([]byte, bool) {
	switch s.request() {
	case 6: // GET_DESCRIPTOR
		switch s.selector() {
		case 1:
			return c.desc.device(), true
		case 2:
			return c.desc.configuration(), true
		case 3:
			if s[2] < 4 {
				return c.desc.text(int(s[2])), true
			}
		}
		return nil, false
	case 0: // GET_STATUS
		return []byte{0, 0}, true
	}
	return nil, !s.toHost() // SET_CONFIGURATION, SET_INTERFACE, CLEAR_FEATURE
}

func (c *camera) negotiate(s setup, out []byte) ([]byte, bool) {
	switch s.request() {
	case setCur:
		copy(c.probe[:], out)
		c.probe.settle()
		if s.selector() == 2 {
			c.epoch++
		}
		return nil, true
	case getLen:
		return u16(len(c.probe)), true
	case getInfo:
		return []byte{3}, true
	case getCur, getMin, getMax, getDef:
		p := c.probe
		return p[:], true
	}
	return nil, false
}

//go:build linux

package main

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"sync"
	"time"
)

var be, le = binary.BigEndian, binary.LittleEndian

// USB/IP commands.
const (
	cmdSubmit = 1
	cmdUnlink = 2
	retSubmit = 3
	retUnlink = 4

	statusOK        = 0
	statusStall     = -32  // EPIPE
	statusConnReset = -104 // an unlinked URB
)

// header is usbip_header: 20 bytes common, 28 by command.
type header [48]byte

type urb struct {
	seq    uint32
	length int
}

// camera is the device: its controls, and the queue of bulk requests.
type camera struct {
	conn     *os.File
	desc     descriptors
	pictures pictures
	stall    int

	mu       sync.Mutex // also orders what is written to conn
	more     *sync.Cond
	pending  []urb // bulk requests that wait for data
	controls controls
	probe    probe
	epoch    int // counts commits: a new one begins a new stream
}

func newCamera(conn *os.File, d descriptors) *camera {
	c := &camera{conn: conn, desc: d, controls: newControls(), probe: newProbe()}
	c.more = sync.NewCond(&c.mu)
	return c
}

// serve takes requests until the line is cut.
func (c *camera) serve() error {
	var h header
	for {
		if _, err := io.ReadFull(c.conn, h[:]); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		seq := be.Uint32(h[4:])
		switch be.Uint32(h[0:]) {
		case cmdSubmit:
			in, endpoint, length := be.Uint32(h[12:]) == 1, be.Uint32(h[16:]), int(be.Uint32(h[24:]))
			var out []byte
			if !in && length > 0 {
				out = make([]byte, length)
				if _, err := io.ReadFull(c.conn, out); err != nil {
					return err
				}
			}
			c.mu.Lock()
			if endpoint == 0 {
				c.control(seq, setup(h[40:48]), out)
			} else {
				c.pending = append(c.pending, urb{seq, length})
				c.more.Signal()
			}
			c.mu.Unlock()
		case cmdUnlink:
			c.mu.Lock()
			c.unlink(seq, be.Uint32(h[20:]))
			c.mu.Unlock()
		}
	}
}

// unlink withdraws a bulk request. One that was withdrawn must never be answered:
// vhci_hcd would drop the device.
func (c *camera) unlink(seq, victim uint32) {
	status := int32(statusOK)
	for i, u := range c.pending {
		if u.seq == victim {
			c.pending = append(c.pending[:i], c.pending[i+1:]...)
			status = statusConnReset
			break
		}
	}
	c.reply(retUnlink, seq, status, 0, nil)
}

// reply is called with mu held.
func (c *camera) reply(cmd, seq uint32, status int32, actual int, data []byte) {
	b := make([]byte, len(header{}), len(header{})+len(data))
	be.PutUint32(b[0:], cmd)
	be.PutUint32(b[4:], seq)
	be.PutUint32(b[20:], uint32(status))
	be.PutUint32(b[24:], uint32(actual))
	c.conn.Write(append(b, data...))
}

// stream answers bulk requests: one payload (a 2-byte header and a part of the
// picture) each, paced to the frame interval.
func (c *camera) stream() {
	var (
		picture []byte
		epoch   int
		sent    int
		toggle  byte
		fresh   = true // the next payload begins a picture
		due     time.Time
	)
	for {
		c.mu.Lock()
		for len(c.pending) == 0 {
			c.more.Wait()
		}
		if epoch != c.epoch {
			epoch, sent, fresh, due = c.epoch, 0, true, time.Now()
		}
		w, h := c.probe.size()
		interval := c.probe.interval()
		c.mu.Unlock()
		if fresh {
			if c.stall > 0 && sent >= c.stall {
				time.Sleep(20 * time.Millisecond)
				continue
			}
			picture = c.pictures.get(w, h)
			if now := time.Now(); now.Sub(due) > interval {
				due = now // too slow: do not catch up
			}
			time.Sleep(time.Until(due))
			due = due.Add(interval)
			toggle ^= 1
			sent++
			fresh = false
		}
		c.mu.Lock()
		if len(c.pending) > 0 && epoch == c.epoch {
			u := c.pending[0]
			n := min(max(u.length-2, 0), payloadSize-2, len(picture))
			head := []byte{2, 0x80 | toggle}
			if c.pictures.flagError() {
				head[1] |= 0x40
			}
			if n == len(picture) {
				head[1] |= 0x02
				fresh = true
			}
			c.pending = c.pending[1:]
			c.reply(retSubmit, u.seq, statusOK, n+2, append(head, picture[:n]...))
			picture = picture[n:]
		}
		c.mu.Unlock()
	}
}

package browser

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// slowLink passes connections on to addr, with so many bytes a second towards who
// dials it, all connections together, and hardly a queue. It ends with the test.
func slowLink(t *testing.T, addr string, perSecond int) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex // one packet at a time is on the link
	var opened sync.Mutex
	var open []net.Conn // guarded by opened
	pass := func(near, far net.Conn) {
		defer near.Close()
		defer far.Close()
		b := make([]byte, 1400)
		for {
			n, err := far.Read(b)
			if err != nil {
				return
			}
			mu.Lock()
			time.Sleep(time.Duration(n) * time.Second / time.Duration(perSecond))
			mu.Unlock()
			if _, err := near.Write(b[:n]); err != nil {
				return
			}
		}
	}
	wg.Go(func() {
		for {
			near, err := ln.Accept()
			if err != nil {
				return
			}
			far, err := (&net.Dialer{}).Dial("tcp", addr)
			if err != nil {
				near.Close()
				continue
			}
			far.(*net.TCPConn).SetReadBuffer(8 << 10) // the queue of the link, as small as can be
			near.(*net.TCPConn).SetWriteBuffer(8 << 10)
			opened.Lock()
			open = append(open, near, far)
			opened.Unlock()
			wg.Go(func() { pass(near, far) })
			wg.Go(func() { io.Copy(far, near); far.Close(); near.Close() })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		ended := make(chan struct{})
		go func() { defer close(ended); wg.Wait() }()
		for { // those that were being opened, too
			opened.Lock()
			for _, c := range open {
				c.Close()
			}
			opened.Unlock()
			select {
			case <-ended:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	})
	return ln.Addr().String()
}

// Over a link that takes a fraction of the frames, the page shows fresh ones only:
// their age stays what a few frames on the way make, however long it goes on.
func TestSlowLinkShowsFreshFrames(t *testing.T) {
	b := chromium(t)
	r := receive(t, "", usual)
	p := open(t, b, "http://"+slowLink(t, r.addr, 300_000)+"/", 1280, 800)
	p.Until("the picture", `document.querySelector(".screen:not(.waiting) canvas")`)
	p.Until("latency", `document.querySelector(".hud span:nth-child(3)").textContent`)
	before := r.state("door")
	time.Sleep(8 * time.Second)
	after := r.state("door")
	if len(after.Displays) != 1 || len(before.Displays) != 1 || after.Displays[0].Latency == nil {
		t.Fatalf("viewers: %+v", after.Displays)
	}
	d := after.Displays[0]
	shown, passed, given := d.Shown-before.Displays[0].Shown, d.Dropped-before.Displays[0].Dropped, after.Live.Frames-before.Live.Frames
	t.Logf("of %d frames %d were shown, %d passed over; capture to screen p50 %.0f, p99 %.0f ms", given, shown, passed, d.Latency.P50, d.Latency.P99)
	if shown < 8 || int64(passed) < given/3 {
		t.Errorf("of %d frames %d were shown and %d passed over: the link takes more than it should, or nothing", given, shown, passed)
	}
	// Two frames are on the way at most, 40 kB each; queued up, eight seconds of 30 frames
	// a second would be half a minute of them.
	if d.Latency.P99 > 4000 {
		t.Errorf("frames are up to %.0f ms old", d.Latency.P99)
	}
	if first, n := before.Live.Seq, p.ShownFrame(); uint64(n) < first {
		t.Errorf("it shows frame %d, which is older than what there was eight seconds ago (%d)", n, first)
	}
}

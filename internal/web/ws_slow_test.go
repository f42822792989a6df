package web

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"

	"framepipe/frame"
)

// A viewer that does not acknowledge gets two frames and no more; what it gets
// afterwards is new, however long it took.
func TestNewestOnlyUnderASlowPage(t *testing.T) {
	url, recv := serve(t, one(frame.JPEG))
	w := watch(t, url, "door")
	a, b := w.next(20*time.Second), w.next(20*time.Second)
	if a == nil || b == nil {
		t.Fatal("no frames")
	}
	feed := recv.Feed("door")
	begin := feed.Meter.Live(frame.ReceiverNow()).Seq
	for feed.Meter.Live(frame.ReceiverNow()).Seq < begin+20 {
		time.Sleep(10 * time.Millisecond)
	}
	st := until(t, url, "door", "drops are counted", func(s State) bool { return len(s.Displays) == 1 && s.Displays[0].Dropped >= 15 })
	if n := st.Displays[0].Sent; n != 2 {
		t.Errorf("%d frames were sent and none acknowledged", n)
	}
	before := feed.Meter.Live(frame.ReceiverNow()).Seq
	w.shown(a)
	c := w.next(20 * time.Second)
	if c == nil {
		t.Fatal("no frame after the acknowledgement")
	}
	if c.seq < before || c.seq < b.seq+15 || c.dropped < 15 {
		t.Errorf("frame %d came after %d, when %d was the newest; %d dropped", c.seq, b.seq, before, c.dropped)
	}
	// Everything is accounted for: it came, was dropped for this viewer, or was lost before.
	live := feed.Meter.Live(frame.ReceiverNow())
	if all, lost := c.seq-a.seq+1, live.Offered-live.Delivered; all < 3+c.dropped || all > 3+c.dropped+lost {
		t.Errorf("frames %d to %d: 3 came, %d were dropped, %d lost before", a.seq, c.seq, c.dropped, lost)
	}
	w.send(wsLook, 0, 0, 0, 0) // nobody looks: nothing comes, and nothing counts as dropped
	until(t, url, "door", "it looks away", func(s State) bool { return len(s.Displays) == 1 && !s.Displays[0].Looking })
	w.send(wsAck, ackOvertaken, b.number, 0, 0)
	w.send(wsAck, ackFailed, c.number, 0, 0)
	dropped := until(t, url, "door", "acknowledged", func(s State) bool { return s.Displays[0].Failed == 1 && s.Displays[0].Overtaken == 1 }).Displays[0].Dropped
	begin = feed.Meter.Live(frame.ReceiverNow()).Seq
	for feed.Meter.Live(frame.ReceiverNow()).Seq < begin+10 {
		time.Sleep(10 * time.Millisecond)
	}
	before = feed.Meter.Live(frame.ReceiverNow()).Seq
	w.send(wsLook, 1, 0, 0, 0)
	d := w.next(20 * time.Second)
	if d == nil || d.seq < before || d.dropped != dropped {
		t.Errorf("after looking again: %+v; the newest was %d, dropped %d", d, before, dropped)
	}
}

// slowConn is a link of so many bytes a second.
type slowConn struct {
	net.Conn
	rate int
}

func (c *slowConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b[:min(len(b), 2048)])
	time.Sleep(time.Duration(n) * time.Second / time.Duration(c.rate))
	return n, err
}

// Over a link that carries a fifth of the stream, frames come seldom but new: none
// is much older than its own way takes, and they do not grow older.
func TestFreshFramesOverASlowLink(t *testing.T) {
	const rate = 40_000
	url, _ := serve(t, one(frame.JPEG))
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		var d net.Dialer
		c, err := d.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		c.(*net.TCPConn).SetReadBuffer(4096)
		return &slowConn{c, rate}, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, url+"/cameras/door/ws", &websocket.DialOptions{HTTPClient: &http.Client{Transport: &http.Transport{DialContext: dial}}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	conn.SetReadLimit(1 << 20)
	w := &watcher{T: t, conn: conn}
	if _, b, err := conn.Read(ctx); err != nil || json.Unmarshal(b, &struct{ Viewer *uint64 }{&w.id}) != nil {
		t.Fatal(err)
	}
	var worst time.Duration
	var dropped uint64
	n, begun := 0, time.Now()
	for time.Since(begun) < 6*time.Second {
		f := w.next(20 * time.Second)
		if f == nil {
			t.Fatal("no frame")
		}
		age := time.Duration(int64(frame.ReceiverNow()) - f.captured)
		way := time.Duration(len(f.jpeg)) * time.Second / rate
		if n++; n > 3 {
			worst = max(worst, age)
			if age > 6*way+time.Second {
				t.Errorf("frame %d is %v old on arrival; its own way takes %v", f.seq, age, way)
			}
		}
		dropped = f.dropped
		w.shown(f)
	}
	if n < 5 || dropped < 20 {
		t.Errorf("%d frames came, %d were dropped", n, dropped)
	}
	t.Logf("%d frames, the oldest %v old on arrival; %d dropped", n, worst, dropped)
}

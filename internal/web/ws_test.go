package web

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"framepipe/capture"
	"framepipe/frame"
	"framepipe/mjpeg"
)

// watcher is a viewer of the page without a page.
type watcher struct {
	*testing.T
	conn  *websocket.Conn
	id    uint64
	last  uint32 // number of the newest frame's message
	told  *ViewerState
	pings int
}

func watch(t *testing.T, url, camera string) *watcher {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, url+"/cameras/"+camera+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.CloseNow() })
	conn.SetReadLimit(1 << 20)
	w := &watcher{T: t, conn: conn}
	typ, b, err := conn.Read(ctx)
	var hello struct {
		Version int
		Viewer  uint64
		Camera  string
	}
	if err != nil || typ != websocket.MessageText || json.Unmarshal(b, &hello) != nil || hello.Version != wsVersion || hello.Viewer == 0 || hello.Camera != camera {
		t.Fatalf("greeting %v %s, %v", typ, b, err)
	}
	w.id = hello.Viewer
	return w
}

// received is a frame as the page gets it.
type received struct {
	number                   uint32
	seq, dropped             uint64
	captured, delivered, was int64
	bound                    int64
	format, source           frame.FourCC
	width, height            uint32
	jpeg                     []byte
}

func pageNow() int64 { return time.Now().UnixNano() }

func (w *watcher) send(kind, flag byte, id uint32, a, b int64) {
	w.Helper()
	m := []byte{wsVersion, kind, flag, 0}
	m = binary.LittleEndian.AppendUint32(m, id)
	m = binary.LittleEndian.AppendUint64(m, uint64(a))
	m = binary.LittleEndian.AppendUint64(m, uint64(b))
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := w.conn.Write(ctx, websocket.MessageBinary, m); err != nil {
		w.Fatal(err)
	}
}

// next answers pings until a frame comes; with a deadline that passes, nil.
func (w *watcher) next(patience time.Duration) *received {
	w.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		typ, b, err := w.conn.Read(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			w.Fatal(err)
		}
		if typ == websocket.MessageText {
			if err := json.Unmarshal(b, &w.told); err != nil || w.told.ID != w.id {
				w.Fatalf("state %s, %v", b, err)
			}
			continue
		}
		le := binary.LittleEndian
		if b[1] == wsPing && len(b) == wsPingSize {
			w.pings++
			now := pageNow()
			w.send(wsPong, 0, le.Uint32(b[4:]), now, now)
			continue
		}
		if b[0] != wsVersion || b[1] != wsFrame || le.Uint16(b[2:]) != wsFrameHeader {
			w.Fatalf("a message that begins %x", b[:4])
		}
		f := &received{number: le.Uint32(b[4:]), seq: le.Uint64(b[8:]), captured: int64(le.Uint64(b[16:])), bound: int64(le.Uint64(b[24:])),
			delivered: int64(le.Uint64(b[32:])), was: int64(le.Uint64(b[40:])), format: frame.FourCC(le.Uint32(b[48:])),
			width: le.Uint32(b[52:]), height: le.Uint32(b[56:]), dropped: le.Uint64(b[64:]), source: frame.FourCC(le.Uint32(b[72:])), jpeg: b[wsFrameHeader:]}
		if f.number != w.last+1 {
			w.Errorf("message %d after %d", f.number, w.last)
		}
		w.last = f.number
		return f
	}
}

func (w *watcher) shown(f *received) { w.send(wsAck, ackShown, f.number, pageNow(), pageNow()) }

// until asks for the camera's state until it is as wanted.
func until(t *testing.T, url, camera, what string, ok func(State) bool) State {
	t.Helper()
	var st State
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		_, b := get(t, url+"/cameras/"+camera+"/state")
		st = State{}
		if err := json.Unmarshal(b, &st); err != nil {
			t.Fatal(err)
		}
		if ok(st) {
			return st
		}
		if time.Now().After(end) {
			t.Fatalf("%s: %s", what, b)
		}
	}
}

func TestFramesToThePage(t *testing.T) {
	for _, format := range []frame.FourCC{frame.JPEG, frame.I420, frame.RGB24} {
		t.Run(format.Word(), func(t *testing.T) {
			url, _ := serve(t, one(format))
			w := watch(t, url, "door")
			w.send(wsClock, 0, 0, 100_000, 0)
			var seq, code uint64
			for i := 0; i < 40 || w.pings <= pingFirst+1; i++ {
				f := w.next(20 * time.Second)
				if f == nil {
					t.Fatal("no frame")
				}
				h, err := mjpeg.Header(f.jpeg)
				if err != nil || h.Width != 320 || f.width != 320 || f.height != 240 || f.format != frame.JPEG || f.source != format {
					t.Fatalf("%+v, %v, header %+v", f.format, err, f)
				}
				n := number(t, f.jpeg)
				if f.seq <= seq || n <= code {
					t.Errorf("frame %d showing %d after %d showing %d", f.seq, n, seq, code)
				}
				seq, code = f.seq, n
				if f.captured == 0 || f.captured > f.delivered || f.delivered > f.was || f.was > int64(frame.ReceiverNow()) || f.bound != 0 {
					t.Errorf("captured %d, delivered %d, sent %d, bound %d", f.captured, f.delivered, f.was, f.bound)
				}
				w.shown(f)
			}
			st := until(t, url, "door", "40 frames shown with latency", func(s State) bool { return len(s.Displays) == 1 && s.Displays[0].Shown >= 40 })
			d := st.Displays[0]
			if d.ID != w.id || !d.Looking || d.Clock == nil || d.Latency == nil || d.ClockError == nil || d.Latency.P50 <= 0 || d.Latency.P50 > 1000 || d.Implausible != 0 ||
				d.Display == nil || d.Display.P50 > d.Latency.P50 || d.TotalDrawn == nil || st.Displayed == nil || st.Displayed.Shown < 40 {
				b, _ := json.Marshal(st)
				t.Errorf("state %s", b)
			}
			if d.ClockError != nil && (*d.ClockError < 0.1 || *d.ClockError > 1000) {
				t.Errorf("the error bound is %v ms; the viewer's clock alone has steps of 0.1", *d.ClockError)
			}
			for w.told == nil {
				if f := w.next(20 * time.Second); f != nil {
					w.shown(f)
				}
			}
			if w.told.Sent == 0 {
				t.Errorf("the viewer was told %+v", w.told)
			}
		})
	}
}

// Two viewers are served and counted each on its own, and leave.
func TestTwoPages(t *testing.T) {
	url, recv := serve(t, one(frame.JPEG))
	a, b := watch(t, url, "door"), watch(t, url, "door")
	for range 5 {
		for _, w := range []*watcher{a, b} {
			f := w.next(20 * time.Second)
			if f == nil {
				t.Fatal("no frame")
			}
			w.shown(f)
		}
	}
	st := until(t, url, "door", "both are listed", func(s State) bool {
		return len(s.Displays) == 2 && s.Displays[0].Shown >= 5 && s.Displays[1].Shown >= 5 && s.Displayed.Shown >= 10
	})
	if st.Viewers != 2 || st.Displays[0].ID != a.id || st.Displays[1].ID != b.id {
		t.Errorf("%d viewers, %d and %d", st.Viewers, st.Displays[0].ID, st.Displays[1].ID)
	}
	_, body := get(t, fmt.Sprintf("%s/cameras/door/state?viewer=%d", url, b.id))
	if err := json.Unmarshal(body, &st); err != nil || len(st.Displays) != 1 || st.Displays[0].ID != b.id {
		t.Errorf("viewer %d alone: %s", b.id, body)
	}
	a.conn.CloseNow()
	until(t, url, "door", "one left", func(s State) bool { return len(s.Displays) == 1 && s.Displays[0].ID == b.id })
	b.conn.Close(websocket.StatusNormalClosure, "")
	until(t, url, "door", "both left", func(s State) bool { return len(s.Displays) == 0 })
	if n := recv.Feed("door").Hub.Viewers(); n != 0 {
		t.Errorf("%d are still subscribed", n)
	}
}

func TestViewersThatMisbehaveAreSentAway(t *testing.T) {
	url, _ := serve(t, one(frame.JPEG))
	msg := func(kind, flag byte, id uint32, a, b int64) []byte {
		m := binary.LittleEndian.AppendUint32([]byte{wsVersion, kind, flag, 0}, id)
		return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(m, uint64(a)), uint64(b))
	}
	for _, tc := range []struct {
		name string
		typ  websocket.MessageType
		b    []byte
		says string
	}{
		{"text", websocket.MessageText, []byte(`{"ack":1}`), "text"},
		{"empty", websocket.MessageBinary, nil, "0 bytes"},
		{"short", websocket.MessageBinary, []byte{1, 1, 0}, "3 bytes"},
		{"long", websocket.MessageBinary, make([]byte, 25), "24 bytes"},
		{"huge", websocket.MessageBinary, make([]byte, 1<<20), ""},
		{"version", websocket.MessageBinary, append([]byte{9}, msg(wsAck, 0, 1, 1, 1)[1:]...), "version 9"},
		{"kind", websocket.MessageBinary, msg(77, 0, 1, 1, 1), "kind 77"},
		{"result", websocket.MessageBinary, msg(wsAck, 3, 1, 1, 1), "flag 3"},
		{"frame that was not sent", websocket.MessageBinary, msg(wsAck, 0, 4000, 1, 1), "frame 4000"},
		{"time before all", websocket.MessageBinary, msg(wsAck, 0, 1, -1, 1), "out of range"},
		{"time after all", websocket.MessageBinary, msg(wsAck, 0, 1, 1, 1<<62+1<<61), "out of range"},
		{"answer to no ping", websocket.MessageBinary, msg(wsPong, 0, 0, 1, 1), "ping 0"},
		{"answer sent before the ping came", websocket.MessageBinary, msg(wsPong, 0, 1, 2, 1), "kind 2"},
		{"a clock of no resolution", websocket.MessageBinary, msg(wsClock, 0, 0, 0, 0), "kind 4"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := watch(t, url, "door")
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			if err := w.conn.Write(ctx, tc.typ, tc.b); err != nil && tc.says != "" {
				t.Fatal(err)
			}
			for {
				_, _, err := w.conn.Read(ctx)
				if err == nil {
					continue
				}
				ce, ok := errors.AsType[websocket.CloseError](err)
				if tc.says != "" && (!ok || ce.Code != websocket.StatusPolicyViolation || !strings.Contains(ce.Reason, tc.says)) || ctx.Err() != nil {
					t.Errorf("ended with %v, want a policy violation that says %q", err, tc.says)
				}
				return
			}
		})
	}
	until(t, url, "door", "all are gone", func(s State) bool { return len(s.Displays) == 0 })
}

// An acknowledgement with a stamp that cannot be is counted and not measured.
func TestImplausibleStamps(t *testing.T) {
	url, _ := serve(t, one(frame.JPEG))
	w := watch(t, url, "door")
	n := int64(0)
	next := func() *received {
		f := w.next(20 * time.Second)
		if f == nil {
			t.Fatal("no frame")
		}
		n++
		return f
	}
	for w.pings <= pingFirst { // then the clock is known
		w.shown(next())
	}
	w.shown(next())
	w.send(wsAck, ackShown, next().number, pageNow(), pageNow()+int64(time.Hour))
	w.send(wsAck, ackShown, next().number, 1, pageNow()-int64(time.Hour))
	st := until(t, url, "door", "all shown", func(s State) bool { return len(s.Displays) == 1 && s.Displays[0].Shown == n })
	if d := st.Displays[0]; d.Implausible != 2 || d.Total == nil || d.Total.Max > 60_000 {
		t.Errorf("%+v, %+v", d.Displayed, d.Total)
	}
}

func TestForeignPagesGetNoFrames(t *testing.T) {
	url, _ := serve(t, one(frame.JPEG))
	host := strings.TrimPrefix(url, "http://")
	_, port, _ := strings.Cut(host, ":")
	for _, tc := range []struct {
		name, host, origin string
		status             int
	}{
		{"own page", host, url, 101},
		{"by name", "localhost:" + port, "http://localhost:" + port, 101},
		{"no browser", host, "", 101},
		{"another page", host, "http://evil.example", 403},
		{"another port", host, "http://127.0.0.1:1", 403},
		{"no page at all", host, "null", 403},
		{"a name that was made to point here", "evil.example:" + port, "http://evil.example:" + port, 421},
	} {
		t.Run(tc.name, func(t *testing.T) {
			req, err := http.NewRequest("GET", url+"/cameras/door/ws", nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Host = tc.host
			for k, v := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Origin": tc.origin} {
				if v != "" {
					req.Header.Set(k, v)
				}
			}
			r, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer r.Body.Close()
			if r.StatusCode != tc.status {
				t.Errorf("status %d, want %d", r.StatusCode, tc.status)
			}
			if r.StatusCode == 403 {
				if b, _ := io.ReadAll(r.Body); !strings.Contains(string(b), "own page only") {
					t.Errorf("it says %q", b)
				}
			}
		})
	}
	if r, _ := get(t, url+"/cameras/door/ws"); r.StatusCode != http.StatusUpgradeRequired {
		t.Errorf("without an upgrade: status %d", r.StatusCode)
	}
	if r, b := get(t, url+"/cameras/garden/ws"); r.StatusCode != 404 {
		t.Errorf("another camera: status %d, %s", r.StatusCode, b)
	}
}

func TestViewersAreBounded(t *testing.T) {
	l := &looks{viewers: make(map[uint64]*wsViewer)}
	for i := range uint64(maxViewers) {
		if !l.enter(&wsViewer{id: i}) {
			t.Fatalf("viewer %d was refused", i)
		}
	}
	if l.enter(&wsViewer{id: maxViewers}) {
		t.Error("one viewer too many came in")
	}
	l.leave(&wsViewer{id: 7})
	if !l.enter(&wsViewer{id: maxViewers}) {
		t.Error("there is no room after one left")
	}
	for i := range maxMarks + 5 {
		l.mark(fmt.Sprint(i))
	}
	if len(l.marks) != maxMarks || l.marks[0].text != "5" || l.forgotten != 5 {
		t.Errorf("%d marks, the first %q, %d forgotten", len(l.marks), l.marks[0].text, l.forgotten)
	}
}

func TestHistory(t *testing.T) {
	url, _ := serve(t, map[string]capture.Config{"door": {Width: 160, Height: 120, Format: frame.JPEG, FPS: 30}})
	w := watch(t, url, "door")
	w.send(wsClock, 0, 0, 100_000, 0)
	for end := time.Now().Add(3500 * time.Millisecond); time.Now().Before(end); {
		if f := w.next(20 * time.Second); f != nil {
			w.shown(f)
		}
	}
	r, err := client.Post(url+"/cameras/door/control", "application/json", strings.NewReader(`{"quality":40,"controls":{"noise":3}}`))
	if err != nil || r.StatusCode != 200 {
		t.Fatal(r, err)
	}
	r.Body.Close()
	var h history
	_, b := get(t, url+"/cameras/door/history")
	if err := json.Unmarshal(b, &h); err != nil {
		t.Fatal(err)
	}
	n := len(h.Second)
	if n < 2 || len(h.Time) != n || len(h.FPS) != n || len(h.Shown) != n || len(h.Size) != n || len(h.Total) != n || len(h.Stages["encode"]) != n || len(h.Stages["display"]) != n {
		t.Fatalf("columns of different lengths: %s", b)
	}
	if last := n - 1; h.FPS[last] == 0 || h.Shown[last] == nil || h.Total[last] == nil || *h.Total[last] <= 0 || h.Size[last] == nil || h.Second[last] != h.Second[0]+int64(last) || h.Time[last] > h.Now {
		t.Errorf("history %s", b)
	}
	if len(h.Marks) != 1 || h.Marks[0].Text != "quality 40, noise 3" || h.MarksBefore != 0 {
		t.Errorf("marks %+v", h.Marks)
	}
	after := h.Second[n-2]
	_, b = get(t, fmt.Sprintf("%s/cameras/door/history?after=%d", url, after))
	if err := json.Unmarshal(b, &h); err != nil || len(h.Second) == 0 || h.Second[0] != after+1 {
		t.Errorf("after %d: %s", after, b)
	}
	_, b = get(t, fmt.Sprintf("%s/cameras/door/history?after=%d", url, after+1_000_000))
	if err := json.Unmarshal(b, &h); err != nil || len(h.Second) < n {
		t.Errorf("after a second of another life: %s", b)
	}
	if r, _ := get(t, url+"/cameras/door/history?after=x"); r.StatusCode != 400 {
		t.Errorf("after=x: status %d", r.StatusCode)
	}
	if r, _ := get(t, url+"/cameras/door/state?viewer=x"); r.StatusCode != 400 {
		t.Errorf("viewer=x: status %d", r.StatusCode)
	}
}

func FuzzParseMessage(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{1, 1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{1, 2, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{1, 4, 0, 0, 0, 0, 0, 0, 0xa0, 0x86, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseMessage(b)
		if err != nil {
			return
		}
		if m.kind < wsAck || m.kind > wsClock || m.a < 0 || m.b < 0 || m.a > maxPageTime || m.b > maxPageTime || m.kind == wsAck && m.flag >= ackResults {
			t.Errorf("%x was taken as %+v", b, m)
		}
		v := &wsViewer{wake: make(chan struct{}, 1), resolution: unknownRes}
		if m.kind != wsLook {
			_ = v.message(m, frame.ReceiverNow()) // nothing is on its way: acks are refused, nothing panics
		}
	})
}

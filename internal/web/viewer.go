package web

import (
	"context"
	"net"
	"sync"
	"time"

	"framepipe/frame"
	"framepipe/internal/rawio"
)

// viewer is one multipart stream. While it keeps up, its camera's fan writes to
// it. When a frame does not fit into the kernel's queue, or still waits there, the
// viewer is busy: a goroutine of its own writes, and the newest frame waits in the
// slot. At any time only one of the two uses the connection for writing.
type viewer struct {
	conn   net.Conn
	pace   *pacer
	direct *rawio.Writer // nil where a write cannot be tried without waiting, as with TLS
	early  bool
	begun  bool // the headers of the next part are out already
	id     uint64
	key    string // what the client calls itself, "0" = nothing
	rate   secondRate

	ctx    context.Context // until it left
	left   context.CancelFunc
	writer sync.WaitGroup // the goroutine of its own

	parts [rawio.MaxParts][]byte // head, picture, end
	vec   net.Buffers
	rest  *frame.Frame // whose end is to be written first; its own reference
	own   []byte       // head and end, where they must outlive the fan's
	next  part

	mu     sync.Mutex
	busy   bool         // guarded by mu; whoever set it uses what stands above
	closed bool         // guarded by mu
	slot   *frame.Frame // guarded by mu; the newest frame, while busy
}

func newViewer(conn net.Conn, early bool) *viewer {
	v := &viewer{conn: conn, pace: newPacer(conn, viewerTimeout), direct: rawio.NewWriter(conn), early: early}
	v.ctx, v.left = context.WithCancel(context.Background())
	return v
}

// close ends the stream; when it returns nobody uses the connection.
func (v *viewer) close() {
	v.mu.Lock()
	v.closed = true
	old := v.slot
	v.slot = nil
	v.mu.Unlock()
	if old != nil {
		old.Release()
	}
	v.left()
	v.conn.Close()
	v.writer.Wait()
}

// offer sends the frame if that takes no waiting, else keeps it for the viewer's
// own goroutine. It is called by the fan.
func (v *viewer) offer(p *part) {
	v.mu.Lock()
	if v.closed || v.busy {
		v.keep(p)
		v.mu.Unlock()
		return
	}
	v.busy = true
	v.mu.Unlock()
	if v.direct != nil && v.pace.gate.Ready() {
		v.compose(p)
		n, err := v.direct.Write(v.parts[:])
		if err != nil {
			v.conn.Close() // its reader notices; busy it stays
			return
		}
		if n == len(v.parts[0])+len(v.parts[1])+len(v.parts[2]) {
			v.begun = v.early
			v.mu.Lock()
			v.busy = false
			v.mu.Unlock()
			return
		}
		if n > 0 {
			v.leaveRest(p, n)
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		v.dropRest()
		return
	}
	if v.rest == nil { // nothing of it is out: it may still be replaced
		v.keep(p)
	}
	v.writer.Add(1)
	go v.catchUp()
}

// keep makes a frame the newest one that waits; the caller holds mu.
func (v *viewer) keep(p *part) {
	if v.closed {
		return
	}
	if v.slot != nil {
		v.slot.Release()
	}
	v.slot = p.frame.Retain()
}

// compose makes the parts that are written for a frame.
func (v *viewer) compose(p *part) {
	v.rate.count(p.second)
	v.parts = [...][]byte{p.head, p.frame.Data, nextHead}
	if v.begun {
		v.parts[0] = nil
	}
	if !v.early {
		v.parts[2] = nextHead[:len(partEnd)]
	}
}

// leaveRest keeps what is not written yet of parts, of which n bytes are.
func (v *viewer) leaveRest(p *part, n int) {
	for i := range v.parts {
		k := min(n, len(v.parts[i]))
		v.parts[i], n = v.parts[i][k:], n-k
	}
	v.own = append(v.own[:0], v.parts[0]...)
	v.parts[0] = v.own
	v.rest = p.frame.Retain()
}

func (v *viewer) dropRest() {
	if v.rest != nil {
		v.rest.Release()
		v.rest = nil
	}
}

// catchUp writes until nothing waits any more.
func (v *viewer) catchUp() {
	defer v.writer.Done()
	var err error
	if v.rest != nil {
		err = v.flush()
		v.dropRest()
	}
	for err == nil {
		v.mu.Lock()
		if v.slot == nil {
			v.busy = false
			v.mu.Unlock()
			return
		}
		v.mu.Unlock()
		if err = v.pace.wait(v.ctx); err != nil {
			break
		}
		v.mu.Lock()
		fr := v.slot
		v.slot = nil
		v.mu.Unlock()
		if fr == nil {
			break // it left
		}
		v.next.make(v.next.feed, fr)
		v.compose(&v.next)
		err = v.flush()
		fr.Release()
	}
	v.conn.Close() // its reader notices; busy it stays
}

// flush writes the parts, waiting as long as a viewer is waited for.
func (v *viewer) flush() error {
	if err := v.conn.SetWriteDeadline(time.Now().Add(viewerTimeout)); err != nil {
		return err
	}
	v.vec = v.parts[:]
	_, err := v.vec.WriteTo(v.conn)
	v.begun = v.early
	return err
}

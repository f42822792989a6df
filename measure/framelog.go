package measure

import (
	"bufio"
	"io"
	"strconv"
	"sync"

	"framepipe/clocksync"
	"framepipe/frame"
)

// FrameLogHeader names the columns of a frame log. Times are nanoseconds: those
// with _s_ns of the sender's monotonic clock, with _r_ns of the receiver's.
// Delays are milliseconds. A field that is not known is empty.
const FrameLogHeader = "camera,seq,format,width,height,frame_bytes,captured_s_ns,dequeued_s_ns,encoded_s_ns,send_started_s_ns," +
	"first_byte_r_ns,last_byte_r_ns,delivered_r_ns,clock_offset_ns,clock_error_ns," +
	"driver_ms,encode_ms,queue_ms,network_ms,transfer_ms,deliver_ms,total_ms,offered,sent"

// FrameLog writes one row of CSV for each frame. Writing goes through a buffer;
// Flush is called whenever a record closes, so that a killed run loses less than
// one record. It is safe for concurrent use.
type FrameLog struct {
	mu  sync.Mutex
	w   *bufio.Writer
	row []byte
	err error
}

// NewFrameLog writes the header.
func NewFrameLog(w io.Writer) (*FrameLog, error) {
	l := &FrameLog{w: bufio.NewWriterSize(w, 64<<10)}
	l.w.WriteString(FrameLogHeader)
	l.w.WriteByte('\n')
	return l, l.w.Flush()
}

// Frame writes a row. The first error is kept and returned by Flush; later rows
// are dropped.
func (l *FrameLog) Frame(camera string, f *frame.Meta, size int, stamped bool, o clocksync.Offset) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil {
		return
	}
	b := append(l.row[:0], camera...)
	num := func(v int64, known bool) {
		b = append(b, ',')
		if known {
			b = strconv.AppendInt(b, v, 10)
		}
	}
	num(int64(f.Seq), stamped)
	b = append(b, ',')
	b = append(b, f.Format.Word()...)
	num(int64(f.Width), f.Width != 0)
	num(int64(f.Height), f.Height != 0)
	num(int64(size), true)
	for _, t := range [...]frame.SenderTime{f.Captured, f.Dequeued, f.Encoded, f.SendStarted} {
		num(int64(t), t != 0)
	}
	for _, t := range [...]frame.ReceiverTime{f.FirstByte, f.LastByte, f.Delivered} {
		num(int64(t), t != 0)
	}
	num(int64(o.Offset), o.Known)
	num(int64(o.Error), o.Known)
	d := stageDelays(f, o)
	for s := range d.of {
		b = append(b, ',')
		if d.known[s] {
			b = strconv.AppendFloat(b, millis(d.of[s]), 'f', 3, 64)
		}
	}
	num(int64(f.Counts.Offered), stamped)
	num(int64(f.Counts.Sent), stamped)
	b = append(b, '\n')
	l.row = b
	_, l.err = l.w.Write(b)
}

// Flush writes what is buffered and returns the first error there was.
func (l *FrameLog) Flush() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err == nil {
		l.err = l.w.Flush()
	}
	return l.err
}

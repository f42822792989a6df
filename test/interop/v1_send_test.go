package interop

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"framepipe/stream"
	"framepipe/wire"
)

// received is what `v1.py receive` says at its end; see test/peers/README.md.
type received struct {
	Frames      int
	Old         int
	Unbalanced  int
	Reports     int
	States      [][]any
	Hello       *wire.HelloText
	Offset      int64 `json:"offset_ns"`
	Error       int64 `json:"error_ns"`
	Skipped     int
	Connections int
	Bye         []any
	End         string
	Counts      struct {
		Offered, Sent uint64
		Lost          []uint64
	}
}

func v1Config(srv *server) stream.SenderConfig {
	return stream.SenderConfig{
		Address: srv.addr, Name: "door", Software: "interop", Session: 0x1122334455667788,
		State: func() wire.StateText {
			return wire.StateText{Mode: "sequence", Port: "video", Format: "jpeg", Policy: "block", FPS: 30}
		},
	}
}

func TestSendV1(t *testing.T) {
	for name, args := range map[string][]string{"": nil, "to a later version": {"--future"}, "without acknowledgements": {"--no-ack"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			const frames = 40
			srv := startServer(t, append([]string{"v1.py", "receive", "--dump", dir}, args...)...)
			stats, err := sendFrames(t, v1Config(srv), frames)
			if err != nil {
				t.Error(err)
			}
			var v received
			srv.end(t, &v)
			for i := range frames {
				got, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("%06d.bin", i+1)))
				if err != nil || !bytes.Equal(got, payload(i)) {
					t.Fatalf("frame %d: %d bytes arrived of %d, %v", i, len(got), len(payload(i)), err)
				}
			}
			if v.Frames != frames || v.Old != 0 || v.Unbalanced != 0 || v.End != "bye" || v.Counts.Sent != frames || v.Hello.Name != "door" {
				t.Errorf("the peer says %+v", v)
			}
			if stats.Counts.Sent != frames || stats.Counts.Imbalance() != 0 {
				t.Errorf("the sender says %+v", stats)
			}
			// One clock on one machine: the true offset is nothing.
			if runtime.GOOS == "linux" && (v.Offset > v.Error+10_000 || v.Offset < -v.Error-10_000) {
				t.Errorf("offset %d ± %d ns between two readers of the same clock", v.Offset, v.Error)
			}
		})
	}
}

// The receiver hangs up in the middle, twice: the sender dials again in the same
// session, sends nothing twice, and the ledger says what was lost.
func TestSendV1Again(t *testing.T) {
	const frames = 600 // more than the kernel's buffers hold in two connections
	srv := startServer(t, "v1.py", "receive", "--connections", "3", "--hang-up-after", "10")
	stats, err := sendFrames(t, v1Config(srv), frames)
	if err != nil {
		t.Error(err)
	}
	var v received
	srv.end(t, &v)
	if v.Connections != 3 || v.Old != 0 || v.Unbalanced != 0 || v.End != "bye" {
		t.Errorf("the peer says %+v", v)
	}
	if v.Counts.Offered != frames || stats.Counts.Offered != frames || stats.Counts.Imbalance() != 0 || uint64(v.Frames) > stats.Counts.Sent {
		t.Errorf("the peer says %+v, the sender %+v", v, stats)
	}
}

func TestSendV1Refused(t *testing.T) {
	srv := startServer(t, "v1.py", "receive", "--refuse", "no cameras today")
	_, err := sendFrames(t, v1Config(srv), 1)
	if err == nil || !strings.Contains(err.Error(), "no cameras today") {
		t.Errorf("the sender ended with: %v", err)
	}
}

// A receiver that has what it wanted says so and goes: the sender understands,
// keeps its books, and would go on with the next receiver.
func TestSendV1EnoughFrames(t *testing.T) {
	srv := startServer(t, "v1.py", "receive", "--frames", "10")
	cfg := v1Config(srv)
	cfg.Retry = time.Second
	stats, err := sendFrames(t, cfg, 0)
	var v received
	srv.end(t, &v)
	if v.Frames < 10 || strings.HasPrefix(v.End, "protocol") || v.Unbalanced != 0 {
		t.Errorf("the peer says %+v", v)
	}
	if err == nil || stats.Counts.Imbalance() != 0 || stats.Received < 10 {
		t.Errorf("the sender says %+v, %v", stats, err)
	}
}

func TestSendV1Control(t *testing.T) {
	srv := startServer(t, "v1.py", "receive", "--control", `{"quality": 60, "horizon": "a key of a later version"}`)
	cfg := v1Config(srv)
	asked := make(chan wire.Settings, 1)
	cfg.Control = func(_ context.Context, set wire.Settings) wire.StateText {
		asked <- set
		return wire.StateText{Mode: "sequence", Port: "video", Format: "jpeg", Quality: *set.Quality, FPS: 30}
	}
	if _, err := sendFrames(t, cfg, 300); err != nil {
		t.Error(err)
	}
	var v received
	srv.end(t, &v)
	select {
	case set := <-asked:
		if set.Quality == nil || *set.Quality != 60 {
			t.Errorf("asked for %+v", set)
		}
	default:
		t.Error("the sender was asked for nothing")
	}
	for _, s := range v.States {
		if s[0] == 4711.0 && s[1].(map[string]any)["quality"] == 60.0 {
			return
		}
	}
	t.Errorf("none of these is the answer: %v", v.States)
}

package interop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"framepipe/frame"
	"framepipe/stream"
)

// sizes of frames that are around the limits of buffers.
var sizes = []int{1, 2, 8191, 8192, 8193, 65535, 65536, 67621, 115200, 230400}

// payload is what frame n (from 0) consists of.
func payload(n int) []byte {
	return noise[n*41%4096:][:sizes[n%len(sizes)]]
}

var noise = func() []byte {
	data := make([]byte, 1<<18)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(data)
	return data
}()

// send runs a v0 sender to addr and feeds it with the frames 0..n-1 (without end
// if n is 0), none of which may be replaced by another.
func send(t *testing.T, addr string, n int) (stream.SenderStats, error) {
	t.Helper()
	return sendFrames(t, stream.SenderConfig{Address: addr, V0: true}, n)
}

func sendFrames(t *testing.T, cfg stream.SenderConfig, n int) (stream.SenderStats, error) {
	t.Helper()
	policy, err := stream.ParsePolicy("block")
	if err != nil {
		t.Fatal(err)
	}
	cfg.Policy = policy
	s := stream.NewSender(cfg)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	feeding, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		defer s.End()
		// Only a connected sender keeps what is put.
		for !s.Stats().Connected && feeding.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		for i := 0; (n == 0 || i < n) && feeding.Err() == nil; i++ {
			f := frame.New(payload(i), nil)
			f.Seq, f.Counts.Offered, f.Format = uint64(i+1), uint64(i+1), frame.JPEG
			f.Captured = frame.SenderNow()
			f.Dequeued, f.Encoded, f.StampKind = f.Captured, f.Captured, frame.StampTick
			s.Mailbox().Put(f)
			if s.Mailbox().WaitIdle(feeding, true) != nil {
				return
			}
		}
	})
	err = s.Run(ctx)
	stop()
	wg.Wait()
	return s.Stats(), err
}

func TestSendToOrigin(t *testing.T) {
	dir := t.TempDir()
	const frames = 40
	srv := startServer(t, "v0_server.py", "--no-open", "--dump", dir)
	stats, err := send(t, srv.addr, frames)
	if err != nil {
		t.Error(err)
	}
	var v verdict
	srv.end(t, &v)
	crc := crc32.NewIEEE()
	for i := range frames {
		crc.Write(payload(i))
		got, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("%06d.bin", i+1)))
		if err != nil || !bytes.Equal(got, payload(i)) {
			t.Fatalf("frame %d: %d bytes arrived of %d, %v", i, len(got), len(payload(i)), err)
		}
	}
	if v.Frames != frames || v.End != "zero length" || v.CRC != crc.Sum32() {
		t.Errorf("the server says %+v", v)
	}
	if stats.Counts.Sent != frames || stats.Counts.Imbalance() != 0 || stats.Counts.LostTotal() != 0 {
		t.Errorf("the sender says %+v", stats)
	}
}

// The published script ends itself after its last record: an ordinary end.
func TestSendUntilTheLastRecord(t *testing.T) {
	summary := filepath.Join(t.TempDir(), "summary.txt")
	srv := startServer(t, "v0_server.py", "--no-open", "--records", "3", "--record-length", "0.2", "--summary", summary)
	stats, err := send(t, srv.addr, 0)
	if !errors.Is(err, stream.ErrReceiverClosed) {
		t.Errorf("the sender ended with: %v", err)
	}
	var v verdict
	srv.end(t, &v)
	if v.End != "last record" || v.Records != 3 || stats.Counts.Sent < uint64(v.Frames) || stats.Counts.Imbalance() != 0 {
		t.Errorf("the server says %+v, the sender %+v", v, stats)
	}
	text, err := os.ReadFile(summary)
	if err != nil || !strings.HasPrefix(string(text), "nbr_images, elapsed(sec), avg_img_size\n") {
		t.Errorf("summary %q, %v", text, err)
	}
}

func TestSendToMisbehaving(t *testing.T) {
	for name, c := range map[string]struct {
		what string
		err  error
	}{
		"hangs up":            {"hang-up", stream.ErrReceiverClosed},
		"vanishes in a frame": {"vanish", stream.ErrReceiverClosed},
		"talks":               {"talk", nil}, // and reads on: the camera does not listen
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := startServer(t, "v0_server.py", "--no-open", "--misbehave", c.what, "--after", "3")
			n := 0
			if c.err == nil {
				n = 50
			}
			stats, err := send(t, srv.addr, n)
			if !errors.Is(err, c.err) {
				t.Errorf("the sender ended with: %v; want %v", err, c.err)
			}
			if stats.Counts.Imbalance() != 0 || stats.Counts.Sent < 3 {
				t.Errorf("the sender says %+v", stats)
			}
		})
	}
}

package camera

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/jpeg"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"framepipe/capture"
	"framepipe/capture/mjpegstream"
	"framepipe/frame"
	"framepipe/wire"
)

// counting is a sink that checks what it is given, on whatever goroutine.
type counting struct {
	t     *testing.T
	n     atomic.Int64
	last  uint64 // with no lock: the race detector sees two goroutines that put at once
	final frame.Counts
}

func (s *counting) Put(f *frame.Frame) {
	if f.Seq <= s.last || f.Counts.Offered != f.Seq || f.Seq-f.Counts.LostTotal() != uint64(s.n.Load())+1 {
		s.t.Errorf("frame %d after frame %d: %+v", f.Seq, s.last, f.Counts)
	}
	s.last = f.Seq
	s.n.Add(1)
	f.Release()
}
func (s *counting) WaitIdle(ctx context.Context, _ bool) error { return ctx.Err() }
func (s *counting) Account(c frame.Counts)                     { s.final = c }

// A camera that reads on a goroutine of its own, which delivers most frames, while its
// settings are changed: no frame is lost, doubled or out of order in the ledger, and no
// two goroutines use the runner at once.
func TestDirectCameraWhileSettingsChange(t *testing.T) {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, image.NewYCbCr(image.Rect(0, 0, 64, 48), image.YCbCrSubsampleRatio420), nil); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "multipart/x-mixed-replace; boundary=b")
		for r.Context().Err() == nil {
			fmt.Fprintf(w, "--b\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%s\r\n", b.Len(), b.Bytes())
			w.(http.Flusher).Flush()
			time.Sleep(500 * time.Microsecond)
		}
	}))
	defer server.Close()
	r := New(Config{Source: server.URL, Open: mjpegstream.Open, Capture: capture.Config{Format: frame.JPEG, Quality: 80}})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s := &counting{t: t}
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx, s) }()
	for i := range 20 {
		from := s.n.Load()
		for end := time.Now().Add(20 * time.Second); s.n.Load() < from+20; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("change %d: no frames any more", i)
			}
		}
		set := wire.Settings{}
		switch i % 3 {
		case 0:
			q := 50 + i
			set.Quality = &q
		case 1:
			mode := []string{"continuous", "sequence"}[i/3%2]
			set.Mode = &mode
		case 2: // another format is made from the pictures, which takes time of its own
			f := []string{"yuv", "jpeg"}[i/3%2]
			set.Format = &f
		}
		if err := r.Apply(ctx, set); err != nil {
			t.Errorf("change %d: %v", i, err)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if c := s.final; c.Offered-c.LostTotal() != uint64(s.n.Load()) {
		t.Errorf("%d frames came of %+v", s.n.Load(), c)
	}
}

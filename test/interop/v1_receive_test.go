package interop

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"framepipe/stream"
	"framepipe/wire"
)

// sent is what `v1.py send` says at its end; see test/peers/README.md.
type sent struct {
	Sent     int
	Acks     int
	Acked    int
	Pongs    int
	Welcomes []struct {
		Name     string
		LastSeq  int `json:"last_seq"`
		Received int
		MaxFrame int `json:"max_frame"`
	}
	Controls []map[string]any
	Byes     [][]any
	End      string
}

func TestReceiveV1(t *testing.T) {
	const frames = 20
	for _, c := range []struct {
		name string
		args []string
		sent int
		lost uint64 // by the driver, as the peer pretends
	}{
		{"jpeg", []string{"--format", "jpeg", "--jpeg-size", "67621"}, frames, 0},
		{"yuv", []string{"--format", "yuv"}, frames, 0},
		{"rgb", []string{"--format", "rgb"}, frames, 0},
		{"losses", []string{"--skip", "4"}, frames - frames/4, frames / 4},
		{"a later version", []string{"--future", "--skip", "4"}, frames - frames/4, frames / 4},
		{"a clock that is wrong", []string{"--clock-offset-ms", "-7200000"}, frames, 0},
		{"a clock that drifts", []string{"--clock-offset-ms", "5000", "--drift-ppm", "300"}, frames, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := startReceiver(t, stream.ReceiverConfig{})
			status, out := client(t, r.addr, nil,
				append([]string{"v1.py", "send", "--json", "-W", "330", "-H", "250", "--frames", itoa(frames)}, c.args...)...)
			if status != 0 {
				t.Fatalf("the peer ended with %d: %s", status, out)
			}
			var v sent
			lastLine(t, out, &v)
			if v.Sent != c.sent || v.Acks == 0 || v.Pongs < 5 || v.End != "bye" || len(v.Welcomes) != 1 || v.Welcomes[0].LastSeq != 0 {
				t.Errorf("the peer says %+v", v)
			}
			s := r.gone(t, int64(c.sent))
			l := s.Live
			if s.Wire != "v1" || l.Frames != int64(c.sent) || l.Imbalance != 0 || l.Lost["driver_gap"] != c.lost || l.Width != 330 || l.Height != 250 {
				t.Errorf("%s: %d frames of %d, imbalance %d, lost %v, %dx%d", s.Wire, l.Frames, c.sent, l.Imbalance, l.Lost, l.Width, l.Height)
			}
			r.mu.Lock()
			defer r.mu.Unlock()
			for i, m := range r.frames {
				if n := number(t, m, r.data[i]); n != int(m.Seq)-1 {
					t.Errorf("frame %d has sequence number %d", n, m.Seq)
				}
			}
			checkClock(t, s, c.name)
		})
	}
}

// Both programs read the same clock, so the peer's lie is the true offset.
func checkClock(t *testing.T, s stream.Status, name string) {
	t.Helper()
	lie := map[string]float64{"a clock that is wrong": -7200000, "a clock that drifts": 5000}[name]
	if s.Clock == nil || s.Live.Latency == nil {
		t.Fatal("the clocks are not related")
	}
	if runtime.GOOS != "linux" {
		return
	}
	// 300 ppm make 3 ms in the ten seconds that such a run takes at most.
	slack := 0.01
	if strings.Contains(name, "drifts") {
		slack = 3
	}
	if off := s.Clock.OffsetMs - lie; off > s.Clock.ErrorMs+slack || off < -s.Clock.ErrorMs-slack {
		t.Errorf("offset %.3f ± %.3f ms; it is %.3f", s.Clock.OffsetMs, s.Clock.ErrorMs, lie)
	}
	if p50 := s.Live.Latency.P50; p50 < 0 || p50 > 2000 {
		t.Errorf("median latency %v ms", p50)
	}
}

// A sender that dials again goes on where it was; nothing is counted twice.
func TestReceiveV1Again(t *testing.T) {
	for _, how := range []string{"", "--abrupt"} {
		t.Run(how, func(t *testing.T) {
			r := startReceiver(t, stream.ReceiverConfig{})
			args := []string{"v1.py", "send", "--json", "--frames", "10", "--connections", "3", "--fps", "100"}
			if how != "" {
				args = append(args, how)
			}
			_, out := client(t, r.addr, nil, args...)
			var v sent
			lastLine(t, out, &v)
			s := r.gone(t, 1)
			if v.Sent != 30 || v.End != "bye" || len(v.Welcomes) != 3 || len(r.Feeds()) != 1 {
				t.Errorf("%d cameras; the peer says %+v", len(r.Feeds()), v)
			}
			lost := uint64(0)
			for _, n := range s.Live.Lost {
				lost += n
			}
			if s.Live.Offered != 30 || s.Live.Delivered+lost != 30 || s.Live.Imbalance != 0 || (how == "" && lost != 0) {
				t.Errorf("offered %d, delivered %d, lost %v, imbalance %d", s.Live.Offered, s.Live.Delivered, s.Live.Lost, s.Live.Imbalance)
			}
		})
	}
}

func TestReceiveV1Control(t *testing.T) {
	r := startReceiver(t, stream.ReceiverConfig{})
	quality, fps, width := 60, 50.0, 640
	done := make(chan error, 1)
	go func() {
		done <- func() error {
			var f *stream.Feed
			for deadline := time.Now().Add(patience); f == nil || !f.Status().Connected; f = r.Feed("") {
				if time.Now().After(deadline) {
					return errors.New("no camera came")
				}
				time.Sleep(5 * time.Millisecond)
			}
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			st, err := f.Control(ctx, wire.Settings{Quality: &quality, FPS: &fps})
			if err != nil || st.Quality != quality || st.FPS != fps || st.Error != "" {
				return fmt.Errorf("quality and fps: %+v, %w", st, err)
			}
			st, err = f.Control(ctx, wire.Settings{Width: &width})
			if err != nil || !strings.Contains(st.Error, "width") || st.Quality != quality {
				return fmt.Errorf("width: %+v, %w", st, err)
			}
			return nil
		}()
	}()
	_, out := client(t, r.addr, nil, "v1.py", "send", "--json", "--frames", "60")
	if err := <-done; err != nil {
		t.Error(err)
	}
	var v sent
	lastLine(t, out, &v)
	if len(v.Controls) != 2 || v.Controls[0]["quality"] != float64(quality) {
		t.Errorf("the peer was asked for %v", v.Controls)
	}
}

func TestReceiveV1Refused(t *testing.T) {
	r := startReceiver(t, stream.ReceiverConfig{Admit: func(p *stream.Peer) error {
		if p.Hello == nil || p.Hello.Auth == nil || p.Hello.Auth.Token != "right" {
			return errors.New("wrong token")
		}
		return nil
	}})
	var v sent
	_, out := client(t, r.addr, nil, "v1.py", "send", "--json", "--token", "wrong")
	lastLine(t, out, &v)
	if v.End != "refused" || v.Sent != 0 || len(v.Byes) != 1 || v.Byes[0][0] != 2.0 || len(r.Feeds()) != 0 {
		t.Errorf("%d cameras; the peer says %+v", len(r.Feeds()), v)
	}
	_, out = client(t, r.addr, nil, "v1.py", "send", "--json", "--token", "right", "--frames", "5")
	lastLine(t, out, &v)
	if s := r.gone(t, 5); v.End != "bye" || s.Live.Frames != 5 {
		t.Errorf("%d frames; the peer says %+v", s.Live.Frames, v)
	}
}

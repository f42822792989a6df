package experiment

import (
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"framepipe/clocksync"
	"framepipe/experiment/plan"
	"framepipe/experiment/result"
	"framepipe/frame"
	"framepipe/stream"
	"framepipe/wire"
)

// fakeCamera gives frames on the test's time, at a rate that depends on its mode.
type fakeCamera struct {
	answer func(wire.Settings, *wire.StateText) // changes what it answers, nil = as asked

	mu     sync.Mutex
	tap    stream.Tap     // guarded by mu
	state  wire.StateText // guarded by mu
	status stream.Status  // guarded by mu
	seq    uint64         // guarded by mu
	rng    *rand.Rand     // guarded by mu
	noise  float64        // of the time between frames
	before func(n uint64) // called before each frame
}

func (f *fakeCamera) Name() string { return "fake" }

func (f *fakeCamera) Status() stream.Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.status
}

func (f *fakeCamera) SetTap(t stream.Tap) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tap = t
}

func (f *fakeCamera) Control(_ context.Context, set wire.Settings) (wire.StateText, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if set.Mode != nil {
		f.state.Mode = *set.Mode
	}
	st := f.state
	if f.answer != nil {
		f.answer(set, &st)
	}
	return st, nil
}

// run gives frames until ctx ends: 30 a second, or 20 in continuous mode.
func (f *fakeCamera) run(ctx context.Context) {
	for ctx.Err() == nil {
		f.mu.Lock()
		fps := 30.0
		if f.state.Mode == "continuous" {
			fps = 20
		}
		wait := time.Duration(float64(time.Second) / fps * (1 + f.noise*f.rng.NormFloat64()))
		f.mu.Unlock()
		time.Sleep(max(wait, time.Millisecond))
		if f.before != nil {
			f.before(f.seq + 1)
		}
		f.mu.Lock()
		f.seq++
		m := frame.Meta{Seq: f.seq, Format: frame.JPEG, Width: 320, Height: 240}
		m.Captured, m.LastByte = frame.SenderNow(), frame.ReceiverNow()
		m.FirstByte, m.Delivered = m.LastByte, m.LastByte
		m.Counts.Offered, m.Counts.Sent = f.seq, f.seq
		tap := f.tap
		f.mu.Unlock()
		if tap != nil {
			tap.Frame(&m, 1000, true, clocksync.Same())
		}
	}
}

// carryOut runs a plan on a fake camera in simulated time.
func carryOut(t *testing.T, text string, f *fakeCamera) (*result.Data, error) {
	t.Helper()
	p, err := plan.Parse("p", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "out")
	folder, err := result.Create(dir, p)
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	f.rng = rand.New(rand.NewPCG(1, 1))
	f.state = wire.StateText{Mode: "sequence", Port: "video", Format: "jpeg", Width: 320, Height: 240, FPS: 30}
	f.status = stream.Status{Name: "fake", Connected: true, Session: "1"}
	var failed error
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { f.run(ctx) })
		failed = Run(ctx, Config{Folder: folder, Camera: func(context.Context) (Camera, error) { return f, nil }})
		cancel()
		wg.Wait()
	})
	d, err := result.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	return d, failed
}

const twoModes = "factors: {mode: [sequence, continuous]}\nrecords: 3\nrecord-length: 10s\nrepeats: 8\n"

func TestRunMeasuresWhatIsThere(t *testing.T) {
	d, err := carryOut(t, twoModes, &fakeCamera{})
	if err != nil || len(d.Rows) != 48 {
		t.Fatalf("%d rows, %v", len(d.Rows), err)
	}
	for _, r := range d.Rows {
		want := 30.0
		if r.Cell == "continuous" {
			want = 20
		}
		if r.FPS < want-0.2 || r.FPS > want+0.2 || r.Elapsed != 10 || r.Imbalance != 0 {
			t.Errorf("%s: %.2f fps in %.1f s, imbalance %d", r.Cell, r.FPS, r.Elapsed, r.Imbalance)
		}
	}
	for _, v := range d.Visits {
		if len(v.Differs) > 0 || v.Event == result.Broken {
			t.Errorf("%+v", v)
		}
	}
}

func TestStopRules(t *testing.T) {
	d, err := carryOut(t, twoModes+"stop: {precision: 1%, min-repeats: 4}\n", &fakeCamera{noise: 0.01})
	if err != nil || len(d.Rows) != 4*2*3 {
		t.Errorf("precise after the least number of repeats: %d rows, %v", len(d.Rows), err)
	}
	if last := d.Visits[len(d.Visits)-1]; last.Event != result.Ended || !strings.Contains(last.Cause, "±") {
		t.Errorf("the reason is %+v", last)
	}
	d, err = carryOut(t, twoModes+"stop: {after: 3m}\n", &fakeCamera{})
	if err != nil || len(d.Rows) != 3*2*3 { // a repeat takes a good minute
		t.Errorf("three minutes: %d rows, %v", len(d.Rows), err)
	}
}

func TestCameraAnswersOtherwise(t *testing.T) {
	f := &fakeCamera{answer: func(set wire.Settings, st *wire.StateText) { st.FPS = 15 }}
	d, err := carryOut(t, twoModes+"fixed: {fps: 30}\n", f)
	if err != nil {
		t.Fatal(err)
	}
	if v := d.Visits[0]; len(v.Differs) != 1 || !strings.Contains(v.Differs[0], "frame rate 30 was asked for, 15") {
		t.Errorf("%+v", v)
	}
}

func TestRefusedLevelEndsBeforeMeasuring(t *testing.T) {
	f := &fakeCamera{answer: func(set wire.Settings, st *wire.StateText) {
		if set.Mode != nil && *set.Mode == "continuous" {
			st.Error = "no such mode"
		}
	}}
	d, err := carryOut(t, twoModes, f)
	if refused, ok := errors.AsType[*RefusedError](err); !ok || refused.Cell != "continuous" || len(d.Rows) != 0 || len(d.Visits) != 0 {
		t.Errorf("error %v, %d rows", err, len(d.Rows))
	}
}

func TestDisconnectMakesTheVisitAgain(t *testing.T) {
	f := &fakeCamera{}
	f.before = func(n uint64) {
		if n == 700 { // in the middle of the first visits
			f.mu.Lock()
			f.status.Breaks++
			f.mu.Unlock()
		}
	}
	d, err := carryOut(t, twoModes, f)
	broken := 0
	for _, v := range d.Visits {
		if v.Event == result.Broken {
			broken++
		}
	}
	if err != nil || broken != 1 || len(d.Valid()) != 48 || len(d.Rows) <= 48 {
		t.Errorf("%d visits broken off, %d rows of which %d count, %v", broken, len(d.Rows), len(d.Valid()), err)
	}
}

func TestCameraThatGivesNothingIsGivenUp(t *testing.T) {
	f := &fakeCamera{answer: func(_ wire.Settings, st *wire.StateText) { st.Width = 999 }} // no frame will be so
	d, err := carryOut(t, "factors: {mode: [sequence]}\nrecords: 1\nrepeats: 1\n", f)
	last := d.Visits[len(d.Visits)-1]
	if !errors.Is(err, ErrUnfinished) || last.Event != result.GaveUp || len(d.Rows) != 0 {
		t.Errorf("error %v, %+v", err, last)
	}
}

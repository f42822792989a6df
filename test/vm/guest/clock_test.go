//go:build vmguest

package guest

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The machine's wall clock is set an hour ahead, two hours back, and made to run 10 %
// fast and slow, while frames are sent: no figure, record or timeout takes notice.
// Only here is there a clock that may be set.
func TestWallClock(t *testing.T) {
	const addr = "127.0.0.1:2300"
	var records, said bytes.Buffer
	receive := exec.Command("/bin/framepipe", "receive", "--listen", addr, "--http", "", "--record-length", "1s", "--idle-timeout", "5s", "--json")
	receive.Stdout, receive.Stderr = &records, &said
	send := exec.Command("/bin/framepipe", "send", "--source", "pattern", "--warmup", "0s", "-W", "160", "-H", "120", "--fps", "20", addr)
	for _, c := range []*exec.Cmd{receive, send} {
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		defer c.Process.Kill()
	}
	began, wall := time.Now(), time.Now()
	defer func() { // as if nothing had happened
		setClock(t, wall.Add(time.Since(began)))
		setTick(t, 10_000)
	}()
	time.Sleep(3 * time.Second)
	for _, by := range []time.Duration{time.Hour, -2 * time.Hour, time.Hour} {
		setClock(t, time.Unix(0, time.Now().UnixNano()).Add(by))
		time.Sleep(2500 * time.Millisecond)
	}
	for _, tick := range []int64{11_000, 9_000} {
		setTick(t, tick)
		time.Sleep(2500 * time.Millisecond)
	}
	ran := time.Since(began) // monotonic
	for _, c := range []*exec.Cmd{send, receive} {
		c.Process.Signal(syscall.SIGTERM)
		if err := c.Wait(); err != nil {
			t.Errorf("%v: %v", c.Args, err)
		}
	}
	n, frames, seconds := 0, 0, 0.0
	for d := json.NewDecoder(&records); d.More(); n++ {
		var r struct {
			Frames    int     `json:"frames"`
			Elapsed   float64 `json:"elapsed_s"`
			Gap       float64 `json:"longest_gap_ms"`
			Imbalance int     `json:"imbalance"`
			Latency   struct {
				Max float64 `json:"max_ms"`
			} `json:"latency"`
		}
		if err := d.Decode(&r); err != nil {
			t.Fatal(err)
		}
		// An hour is 3,600,000 ms, and a tenth of a record's second 100: a busy emulator is between.
		if r.Latency.Max < 0 || r.Latency.Max > 30_000 || r.Gap > 30_000 || r.Elapsed < 0 || r.Elapsed > 30 || r.Imbalance != 0 {
			t.Errorf("record %d: %+v", n+1, r)
		}
		frames += r.Frames
		seconds += r.Elapsed
	}
	if frames < 20 || seconds > ran.Seconds()+1 || seconds < ran.Seconds()/2 {
		t.Errorf("%d frames in %d records of %.1f s together; it ran for %.1f s\n%s", frames, n, seconds, ran.Seconds(), said.String())
	}
	t.Logf("%d frames in %d records of %.1f s together; it ran for %.1f s", frames, n, seconds, ran.Seconds())
	if bytes.Contains(said.Bytes(), []byte("lost:")) {
		t.Errorf("a connection was lost:\n%s", said.String())
	}
}

func setClock(t *testing.T, to time.Time) {
	t.Helper()
	ts := unix.NsecToTimespec(to.UnixNano())
	if err := unix.ClockSettime(unix.CLOCK_REALTIME, &ts); err != nil {
		t.Fatal(err)
	}
}

// setTick makes both of the kernel's clocks run fast or slow: microseconds a tick, of which
// there are a hundred a second; adjtimex(2).
func setTick(t *testing.T, tick int64) {
	t.Helper()
	const adjTick = 0x4000
	x := unix.Timex{Modes: adjTick}
	assign(&x.Tick, tick)
	if _, err := unix.Adjtimex(&x); err != nil {
		t.Fatal(err)
	}
}

// assign sets a field whose size is the processor's.
func assign[T int32 | int64](field *T, v int64) { *field = T(v) }

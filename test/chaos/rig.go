//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"framepipe/internal/doctor"
	"framepipe/internal/netem"
)

const (
	camName  = "door"
	camPort  = "1308"
	httpPort = "8080"

	patience = 20 * time.Second // for what must come; the machine may be busy
	steady   = 5                // frames that must follow the first one
)

// trial is one fault on a pair of programs of its own, on a link of its own. All
// that is random in it follows from its seed.
type trial struct {
	*rand.Rand
	seed    uint64
	fault   *fault
	program string
	dir     string
	link    *netem.Link
	cancel  context.CancelFunc
	running sync.WaitGroup
	client  *http.Client

	offset  int // of the sender's monotonic clock, in seconds
	source  string
	sendEnv []string
	send    *process
	recv    *process
	cam     *camera
	sent    []*process // all senders there were, the last one included
	recvs   []*process
	longRun bool   // no recording and no frame log: they would fill a disk
	disk    string // what the receiver writes to
	// throttle lets a process write to the disk with so many bytes a second; 0 = as many as it can.
	throttle func(pid int, rate int64) error
	undo     []func()
	detail   []string // what was done, for people

	base   [2]holds // of send and recv before the fault
	result result
}

// holds is what a process holds.
type holds struct {
	goroutines, files, frames int
	at                        float64 // by the process's own clock
}

// result is what came of a trial.
type result struct {
	Fault    string            `json:"fault"`
	Seed     uint64            `json:"seed"`
	Detail   string            `json:"detail"`
	Recovery time.Duration     `json:"recovery_ns"` // from the cause's end to the first frame captured after it
	Stop     time.Duration     `json:"stop_ns"`     // the longer of the two sides' ends
	Offered  uint64            `json:"offered"`
	Lost     map[string]uint64 `json:"lost"`
	Silent   uint64            `json:"silent"` // frames that nobody accounts for
	Failures []string          `json:"failures,omitempty"`

	unprepared bool // the machine lacks what the fault needs
}

func (t *trial) failf(format string, args ...any) {
	t.result.Failures = append(t.result.Failures, fmt.Sprintf(format, args...))
}

func (t *trial) note(format string, args ...any) {
	t.detail = append(t.detail, fmt.Sprintf(format, args...))
}

// between is a random duration, in milliseconds.
func (t *trial) between(from, to time.Duration) time.Duration {
	return (from + time.Duration(t.Int64N(int64(to-from)+1))).Round(time.Millisecond)
}

func newTrial(program string, f *fault, seed uint64) *trial {
	return &trial{Rand: rand.New(rand.NewPCG(seed, 0xfa)), seed: seed, fault: f, program: program, result: result{Fault: f.name, Seed: seed}}
}

// run carries out one trial.
func run(ctx context.Context, program string, f *fault, seed uint64, keep string) (res result) {
	t := newTrial(program, f, seed)
	defer func() {
		res = t.result
		res.Detail = strings.Join(t.detail, ", ")
	}()
	if err := t.do(ctx); err != nil {
		t.failf("%v", err)
	}
	if len(t.result.Failures) > 0 && keep != "" {
		t.evidence(keep)
	}
	t.end()
	return
}

// evidence keeps what the programs said.
func (t *trial) evidence(dir string) {
	for _, p := range []*process{t.send, t.recv} { // their last words are what their goroutines do
		if p != nil && !p.ended() {
			p.signal(syscall.SIGQUIT)
			select {
			case <-p.done:
			case <-time.After(3 * time.Second):
			}
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s seed %d: %s\n%s\n", t.fault.name, t.seed, strings.Join(t.detail, ", "), strings.Join(t.result.Failures, "\n"))
	for _, p := range append(append([]*process{}, t.sent...), t.recvs...) {
		fmt.Fprintf(&b, "== %s (process %d) %v\n%s", p.what, p.pid(), p.cmd.Args, p.stderr())
	}
	_ = os.MkdirAll(dir, 0o777)
	_ = os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s-%d.txt", t.fault.name, t.seed)), []byte(b.String()), 0o666)
}

// begin makes the link and starts both sides; frames come when it returns.
func (t *trial) begin(ctx context.Context) (err error) {
	if t.dir, err = os.MkdirTemp("", "framepipe-chaos-"); err != nil {
		return err
	}
	t.disk = t.dir
	if t.link, err = netem.New(netem.Config{Seed: t.seed}); err != nil {
		return err
	}
	run, cancel := context.WithCancel(ctx)
	t.cancel = cancel
	t.running.Go(func() { _ = t.link.Run(run) })
	t.client = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return t.link.DialIn(ctx, netem.B, network, addr)
		}}}
	t.offset = t.IntN(7200) - 3600
	if t.offset+int(uptime().Seconds()) < 60 { // a clock must not begin before zero
		t.offset = 3600
	}
	if _, err := os.Stat("/proc/self/ns/time"); err != nil { // an old kernel: both sides have one clock then
		t.offset = 0
	}
	t.source = "pattern?noise=2"
	if t.fault.prepare != nil {
		if err := t.fault.prepare(t); err != nil {
			t.result.unprepared = true
			return fmt.Errorf("this machine cannot do that: %w", err)
		}
	}
	if err := t.startReceive(); err != nil {
		return err
	}
	if err := t.startSend(); err != nil {
		return err
	}
	if _, err := t.recover(time.Now()); err != nil {
		return fmt.Errorf("before the fault: %w", err)
	}
	return nil
}

func (t *trial) do(ctx context.Context) (err error) {
	if err := t.begin(ctx); err != nil {
		return err
	}
	time.Sleep(t.between(300*time.Millisecond, 1200*time.Millisecond)) // the phase of the records
	for i, p := range []*process{t.send, t.recv} {
		if t.base[i], err = t.fresh(p); err != nil {
			return fmt.Errorf("before the fault: %w", err)
		}
	}

	end, err := t.fault.act(t)
	if err != nil {
		return err
	}
	if t.result.Recovery, err = t.recover(end); err != nil {
		return err
	}
	t.leaks()
	return t.account()
}

// uptime is the monotonic clock.
func uptime() time.Duration {
	b, _ := os.ReadFile("/proc/uptime")
	var s float64
	_, _ = fmt.Sscan(string(b), &s)
	return time.Duration(s * 1e9)
}

// startReceive starts the viewer's side; short timeouts let a leak be told from
// waiting.
func (t *trial) startReceive() error {
	n := len(t.recvs)
	args := []string{t.program, "receive", "--listen", ":" + camPort, "--http", "127.0.0.1:" + httpPort, "--record-length", "1s", "--json", "--handshake-timeout", "1s", "--idle-timeout", "3s", "--record-dir", "", "--state", t.stateDir()}
	if !t.longRun {
		args = append(args, "--frame-log", filepath.Join(t.disk, fmt.Sprintf("frames-%d.csv", n)), "--record", filepath.Join(t.disk, fmt.Sprintf("video-%d.mkv", n)))
	}
	p, err := start("receive", t.link.B.Namespace, 0, nil, args...)
	if err == nil {
		t.recv = p
		t.recvs = append(t.recvs, p)
	}
	return err
}

func (t *trial) startSend() error {
	p, err := start("send", t.link.A.Namespace, t.offset, t.sendEnv, t.program, "send", "--name", camName, "--warmup", "0s", "--fps", "30", "--source", t.source, t.link.B.Addr.String()+":"+camPort)
	if err == nil {
		t.send = p
		t.sent = append(t.sent, p)
	}
	return err
}

func (t *trial) get(path string) ([]byte, error) {
	resp, err := t.client.Get("http://127.0.0.1:" + httpPort + path)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %s", path, resp.Status, strings.TrimSpace(string(b)))
	}
	return b, err
}

// live is what /state tells that is needed here.
type live struct {
	Connected bool `json:"connected"`
	Live      struct {
		Offered   uint64            `json:"total_offered"`
		Delivered uint64            `json:"total_delivered"`
		Lost      map[string]uint64 `json:"total_lost"`
		Imbalance int64             `json:"total_imbalance"`
		Before    uint64            `json:"offered_before"`
	} `json:"live"`
}

func (t *trial) state() (s live, err error) {
	b, err := t.get("/cameras/" + camName + "/state")
	if err == nil {
		err = json.Unmarshal(b, &s)
	}
	return s, err
}

// recover waits for the stream: a snapshot shows a frame that was captured after
// it was asked for, so the time from the cause's end to a snapshot that was asked
// for at that moment, or later where the receiver had to come back first, is the time without
// a picture of what happens now. More frames must follow.
func (t *trial) recover(since time.Time) (time.Duration, error) {
	var last error
	for time.Since(since) < patience {
		for _, p := range []*process{t.send, t.recv} {
			if p.ended() {
				return 0, fmt.Errorf("%s ended by itself: %v: %s", p.what, p.err, lastLine(p.stderr()))
			}
		}
		if _, last = t.get("/cameras/" + camName + "/snapshot"); last != nil {
			time.Sleep(10 * time.Millisecond)
			continue
		}
		took := time.Since(since)
		return took, t.flows()
	}
	return 0, fmt.Errorf("the stream is not back within %v: %w", patience, last)
}

// flows waits for more frames.
func (t *trial) flows() error {
	first, err := t.state()
	if err != nil {
		return err
	}
	for began := time.Now(); time.Since(began) < patience; time.Sleep(20 * time.Millisecond) {
		s, err := t.state()
		if err != nil {
			return err
		}
		if s.Live.Imbalance != 0 {
			return fmt.Errorf("the ledger is out of balance by %d", s.Live.Imbalance)
		}
		if s.Live.Delivered >= first.Live.Delivered+steady {
			return nil
		}
	}
	return errors.New("one frame came, and no more")
}

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return s[strings.LastIndexByte(s, '\n')+1:]
}

// reading asks a process what it holds: the receiver directly, the sender through an
// empty change of settings, whose answer describes it.
func (t *trial) reading(p *process) (own doctor.Process, err error) {
	if p == t.recv {
		var b []byte
		var all struct{ Process *doctor.Process }
		if b, err = t.get("/limits"); err == nil {
			all.Process = &own
			err = json.Unmarshal(b, &all)
		}
	} else {
		var st struct {
			Machine struct{ Process *doctor.Process }
		}
		st.Machine.Process = &own
		var resp *http.Response
		if resp, err = t.client.Post("http://127.0.0.1:"+httpPort+"/cameras/"+camName+"/control", "application/json", strings.NewReader("{}")); err == nil {
			var b []byte
			b, err = io.ReadAll(resp.Body)
			resp.Body.Close()
			if err == nil && json.Unmarshal(b, &st) != nil {
				err = fmt.Errorf("/control: %s: %s", resp.Status, b)
			}
		}
	}
	if err == nil && own.Goroutines == 0 {
		err = errors.New(p.what + " does not tell what it holds")
	}
	return own, err
}

func (t *trial) holds(p *process) (holds, error) {
	own, err := t.reading(p)
	return holds{own.Goroutines, p.files(), own.Frames, own.UptimeS}, err
}

// fresh is holds as of now; a sender looks at itself once a second at most.
func (t *trial) fresh(p *process) (h holds, err error) {
	var first holds
	for began := time.Now(); time.Since(began) < patience; time.Sleep(100 * time.Millisecond) {
		if h, err = t.holds(p); err != nil {
			return h, err
		}
		if first.at == 0 {
			first = h
		}
		if h.at > first.at || p == t.recv {
			return h, nil
		}
	}
	return h, errors.New(p.what + " does not look at itself again")
}

// leaks compares what a process held before the fault with what it holds some
// time after. One that was started anew is compared with its predecessor.
func (t *trial) leaks() {
	for i, p := range []*process{t.send, t.recv} {
		var h holds
		var err error
		for began := time.Now(); ; time.Sleep(200 * time.Millisecond) {
			h, err = t.holds(p)
			b := t.base[i]
			// A frame more or less is on its way at any moment.
			if err == nil && h.goroutines <= b.goroutines && h.files <= b.files && h.frames <= b.frames+3 {
				break
			}
			if time.Since(began) > 12*time.Second {
				t.failf("%s holds more than before: goroutines %d (%d), descriptors %d (%d), frames %d (%d); %v", p.what, h.goroutines, b.goroutines, h.files, b.files, h.frames, b.frames, err)
				break
			}
		}
	}
}

func (t *trial) end() {
	for _, p := range append(append([]*process{}, t.sent...), t.recvs...) {
		p.kill()
	}
	if t.cam != nil {
		t.cam.away()
	}
	for i := len(t.undo) - 1; i >= 0; i-- {
		t.undo[i]()
	}
	if t.cancel != nil {
		t.cancel()
		t.running.Wait()
	}
	if t.link != nil {
		if err := t.link.Close(); err != nil {
			t.failf("the link: %v", err)
		}
	}
	os.RemoveAll(t.dir)
}

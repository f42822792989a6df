package app

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/urfave/cli/v3"

	"framepipe/camera"
	"framepipe/frame"
	"framepipe/internal/doctor"
	"framepipe/internal/secure"
	"framepipe/stream"
	"framepipe/wire"
)

// originNumber is the last number of the laptop's address in the origin's script.
const originNumber = 108

func sendCommand(e *env) *cli.Command {
	flags := append(captureFlags("auto"),
		&cli.IntFlag{Name: "ip", Aliases: []string{"ip_last_number"}, Value: originNumber, Usage: "send to 192.168.0.`N`"},
		&cli.StringFlag{Name: "receiver", Usage: "without ADDRESS: the `NAME` of the receiver to find on the local network, now or when it comes; framepipe devices --network lists them"},
		&cli.StringFlag{Name: "wire", Value: "v1", Usage: "v1, or v0 for the origin's server"},
		&cli.StringFlag{Name: "policy", Value: stream.DefaultPolicy, Usage: "when frames come faster than the link takes them: " + stream.PolicyUsage + " (block waits, as the origin)"},
		&cli.StringFlag{Name: "congestion", Usage: "TCP congestion control: bbr, cubic, or system for what the system uses", DefaultText: "bbr where allowed; system with --policy block"},
		&cli.DurationFlag{Name: "target-latency", Usage: "make frames smaller when the link would hold them up longer, as in 80ms: quality, then size, then rate; 0 = off"},
		&cli.StringFlag{Name: "name", Usage: "the camera's name at the receiver", DefaultText: "this machine's name"},
		&cli.StringFlag{Name: "token", Usage: "secret that the receiver asks for; never sent, but proved over TLS"},
		&cli.StringFlag{Name: "token-file", Usage: "read the token from `FILE`"},
		&cli.StringFlag{Name: "tls-ca", Usage: "trust receivers whose certificate one in `FILE` vouches for"},
		&cli.StringFlag{Name: "tls-cert", Usage: "`FILE` of our own certificate (PEM), for receivers with --tls-client-ca"},
		&cli.StringFlag{Name: "tls-key", Usage: "`FILE` of its key (PEM)"},
		&cli.DurationFlag{Name: "connect-retry", Usage: "give up after so long without a connection; 0 = never"},
		&cli.IntFlag{Name: "frames", Usage: "end after so many frames; 0 = go on"},
		&cli.DurationFlag{Name: "for", Usage: "end after so long; 0 = go on"},
	)
	flags = append(append(flags, logFlags()...), profileFlag())
	return &cli.Command{
		Name: "send", Usage: "the camera's side: capture, encode if need be, and send", ArgsUsage: "[ADDRESS]",
		Description: "ADDRESS is the connect string that the receiver prints, @FILE with it, or its host, or host:port\n(port 1308 unless given). Without one, frames go to 192.168.0.N of -ip N, else to the receiver that\nanswers on the local network within 2 s (DNS-SD; of several, you are asked at a terminal), else to\n192.168.0.108 or the one receiver that is found later, whichever answers first; with --receiver NAME\nto that one only, whenever it comes.",
		Flags:       withEnv("send", flags),
		Action:      func(ctx context.Context, c *cli.Command) error { return send(ctx, e, c) },
	}
}

// address finds out where to send to, and says how it was found.
func address(c *cli.Command) (addr, how string, err error) {
	if c.Args().Len() > 1 {
		return "", "", usagef("", "more than one address: %s", strings.Join(c.Args().Slice(), " "))
	}
	if a := c.Args().First(); secure.IsConnect(a) || strings.HasPrefix(a, "@") {
		return "", "", nil // connection reads it
	} else if a != "" {
		host, port, err := net.SplitHostPort(a)
		if err != nil {
			host, port = strings.Trim(a, "[]"), strconv.Itoa(wire.DefaultPort)
		}
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 || host == "" {
			return "", "", usagef("write it as host or host:port", "address %q", a)
		}
		return net.JoinHostPort(host, port), "", nil
	}
	n := c.Int("ip")
	if n < 1 || n > 254 {
		return "", "", usagef("", "-ip %d: use the last number of the address, 1 to 254", n)
	}
	addr = fmt.Sprintf("192.168.0.%d:%d", n, wire.DefaultPort)
	if c.IsSet("ip") {
		return addr, "", nil
	}
	return addr, "no address given, and no receiver answered on the local network: using the origin's, " + addr, nil
}

func send(ctx context.Context, e *env, c *cli.Command) error {
	cfg, err := cameraConfig(c)
	if err != nil {
		return err
	}
	addr, how, err := address(c)
	if err != nil {
		return err
	}
	sc := stream.SenderConfig{Address: addr, Software: "framepipe " + Version(), Session: newSession(),
		Congestion: c.String("congestion"), Retry: c.Duration("connect-retry"), Frames: uint64(max(0, c.Int("frames")))}
	switch w := c.String("wire"); w {
	case "v1", "1":
	case "v0", "0":
		sc.V0 = true
	default:
		return usagef("", "--wire %q: use v1 or v0", w)
	}
	if sc.Policy, err = stream.ParsePolicy(c.String("policy")); err != nil {
		return &usageError{err: err}
	}
	if sc.Target = c.Duration("target-latency"); sc.Target < 0 || sc.Target > 0 && sc.Target < 10*time.Millisecond {
		return usagef("", "--target-latency %v: use 10ms or more", sc.Target)
	}
	if sc.V0 && sc.Target > 0 {
		return usagef("leave out --target-latency, or use wire v1", "--target-latency needs the receiver's measurements, which wire v0 does not have")
	}
	if sc.V0 && sc.Policy.NeedsAcks() {
		return usagef("use gated, newest or block", "--policy %s needs acknowledgements, which wire v0 does not have", sc.Policy)
	}
	con, err := consoleOf(c, e.stderr)
	if err != nil {
		return err
	}
	log := con.logger()
	if how, err = search(ctx, c, e, con, &sc, how); err != nil {
		return err
	}
	if err := connection(c, &sc); err != nil {
		return err
	}
	sc.Host, _ = os.Hostname()
	sc.Name = cmp.Or(c.String("name"), sc.Host, "camera")
	if how != "" {
		log.Info(how)
	}
	if d := c.Duration("for"); d > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d)
		defer cancel()
	}
	s := newSending(cfg, sc, log)
	run, stop := context.WithCancel(ctx)
	defer stop()
	profiled, err := profiles(run, c, log)
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	if con.tty {
		wg.Go(func() { every(run, 500*time.Millisecond, func() { con.setStatus(s.statusLine()) }) })
	}
	manager := newNotifier(log)
	wg.Go(func() {
		select {
		case <-s.cam.Opened():
			manager.ready()
		case <-run.Done():
		}
	})
	told, cancel := context.WithCancel(run)
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	wg.Go(func() { manager.run(told, s.statusLine, s.vigil) })
	err = s.run(ctx)
	stop()
	wg.Wait()
	profiled()
	con.setStatus("")
	if s.sender.Stats().Counts.Offered > 0 {
		s.finalLines(log)
	}
	return sendError(err)
}

// sendError gives hints to what commonly goes wrong.
func sendError(err error) error {
	switch {
	case err == nil, errors.Is(err, stream.ErrReceiverClosed):
		return nil
	case errors.Is(err, stream.ErrNoConnection):
		return &hinted{err, "start `framepipe receive` there, or check the address; without --connect-retry it is tried for ever"}
	}
	return err
}

func newSession() uint64 {
	for {
		if n := rand.Uint64(); n != 0 {
			return n
		}
	}
}

// sending is a camera and the sender that it feeds.
type sending struct {
	cam    *camera.Runner
	sender *stream.Sender
	log    *slog.Logger
	start  time.Time

	unconfirmed bool // the receiver acknowledges nothing: v0
	waits       bool // the source does not go on while nobody is there to send to

	machine machineText
}

// machineText is how this machine fares, as JSON, looked at once a second at most.
type machineText struct {
	mu   sync.Mutex
	at   time.Time       // guarded by mu
	text json.RawMessage // guarded by mu
}

func (m *machineText) read() json.RawMessage {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.text == nil || time.Since(m.at) > time.Second {
		r := doctor.Read(context.Background(), doctor.Options{})
		r.Process = ownProcess()
		m.text, m.at = marshal(r), time.Now()
	}
	return m.text
}

func newSending(cc camera.Config, sc stream.SenderConfig, log *slog.Logger) *sending {
	s := &sending{log: log, start: time.Now(), unconfirmed: sc.V0, waits: finite(cc.Source)}
	cc.Log, sc.Log = log, log
	cc.Blocks = func() bool { return s.sender.Policy().Blocks() }
	cc.Changed = func() { s.sender.PushState() }
	sc.State = s.state
	sc.Control = s.control
	if sc.Target > 0 {
		cc.Budget = func() int { return s.sender.Budget() }
	}
	if finite(cc.Source) { // the beginning of a file is not to be lost
		cc.Ready = func(ctx context.Context) error { return s.sender.Mailbox().WaitOnline(ctx) }
	}
	s.cam = camera.New(cc)
	s.sender = stream.NewSender(sc)
	return s
}

// endInOrder is how long camera and connection may take to end by themselves.
const endInOrder = 350 * time.Millisecond

// run captures and sends until either ends, and awaits both. Nobody is dialled
// before there is a camera.
func (s *sending) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	// Who stops the program stops the camera first: its last account is to be part of
	// the goodbye. What does not end in order by then is ended.
	sending, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(endInOrder, stop) })()
	captured := make(chan error, 1)
	go func() {
		err := s.cam.Run(ctx, s.sender.Mailbox())
		s.sender.End()
		if err != nil {
			stop()
		}
		captured <- err
	}()
	select {
	case <-s.cam.Opened():
	case err := <-captured:
		return err
	}
	err := s.sender.Run(sending)
	cancel()
	if e := <-captured; e != nil {
		return e
	}
	return err
}

// state describes the camera for the receiver.
func (s *sending) state() wire.StateText {
	st := stateText(s.cam.State())
	st.Policy, st.Congestion, st.Gate = s.sender.Policy().String(), s.sender.Congestion(), s.sender.Stats().Gate
	st.Machine = s.machine.read()
	return st
}

// stateText puts a camera's state into the words of the wire.
func stateText(st camera.State) wire.StateText {
	t := wire.StateText{Mode: st.Info.Mode, Port: st.Info.Port, Format: st.Format.Word(), Width: st.Width, Height: st.Height,
		FPS: st.Info.FPS, Codec: st.Codec, Adapting: st.Adapting, Camera: marshal(st.Info)}
	if st.Format == frame.JPEG {
		t.Quality = st.Quality
	}
	if len(st.Controls) > 0 {
		t.Controls = marshal(st.Controls)
	}
	if st.Err != nil {
		t.Error = oneLine(st.Err.Error())
		t.Hint = hintOf(st.Err)
	}
	return t
}

func marshal(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	return b
}

// control applies what the receiver asks for.
func (s *sending) control(ctx context.Context, set wire.Settings) wire.StateText {
	var failed error
	if set.Policy != nil {
		if p, err := stream.ParsePolicy(*set.Policy); err != nil {
			failed = err
		} else {
			s.sender.SetPolicy(p)
		}
	}
	if set.Congestion != nil {
		s.sender.SetCongestion(*set.Congestion)
	}
	return applySettings(ctx, s.cam, set, failed, s.state)
}

// applySettings lets the camera apply its part and describes the result.
func applySettings(ctx context.Context, cam *camera.Runner, set wire.Settings, failed error, state func() wire.StateText) wire.StateText {
	ctx, cancel := context.WithTimeout(ctx, 12*time.Second)
	defer cancel()
	set.Policy, set.Congestion = nil, nil
	if !set.Empty() {
		failed = errors.Join(failed, cam.Apply(ctx, set))
	}
	st := state()
	if failed != nil {
		st.Error, st.Hint = oneLine(failed.Error()), hintOf(failed)
	}
	return st
}

func (s *sending) statusLine() string {
	st, v := s.cam.State(), s.sender.Stats()
	where := "not connected"
	if v.Connected {
		where = "connected"
	}
	return fmt.Sprintf("%s  %s %dx%d %s  %s, %d frames sent, lost %d", duration(time.Since(s.start)), st.Info.Name, st.Width, st.Height,
		st.Format.Word(), where, v.Counts.Sent, v.Counts.LostTotal())
}

// vigil is for the service manager's watchdog: frames that the receiver has
// acknowledged (v0: that were sent). None is expected while nobody is connected or the
// camera is known to be gone.
func (s *sending) vigil() vigil {
	st, v := s.cam.State(), s.sender.Stats()
	w := vigil{frames: v.Received, excuse: !st.Open}
	if s.unconfirmed {
		w.frames = v.Counts.Sent
	}
	if !v.Connected {
		w.frames, w.excuse = v.Counts.Offered, w.excuse || s.waits // the camera is to go on
	}
	if st.Info.FPS > 0 {
		w.period = time.Duration(float64(time.Second) / st.Info.FPS)
	}
	return w
}

// finalLines tell how the run went: the sender's half of the ledger.
func (s *sending) finalLines(log *slog.Logger) {
	v := s.sender.Stats()
	lost := make([]string, 0, len(v.Counts.Lost))
	for c, n := range v.Counts.Lost {
		if n > 0 {
			lost = append(lost, fmt.Sprintf("%s %d", strings.ReplaceAll(frame.Cause(c).String(), "_", " "), n))
		}
	}
	text := fmt.Sprintf("the camera gave %d frames: %d sent", v.Counts.Offered, v.Counts.Sent)
	if v.Received > 0 {
		text += fmt.Sprintf(" (%d confirmed by the receiver)", v.Received)
	}
	text += fmt.Sprintf(", %d lost", v.Counts.LostTotal())
	if len(lost) > 0 {
		text += " (" + strings.Join(lost, ", ") + ")"
	}
	if n := v.Counts.Imbalance(); n != 0 {
		text += fmt.Sprintf("; %d UNACCOUNTED FOR: this is a bug", n)
	}
	log.Info(text)
	if codec := s.cam.State().Codec; codec != "" {
		log.Info("each frame: " + codec)
	}
}

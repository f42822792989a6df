package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"github.com/urfave/cli/v3"

	"framepipe/camera"
	"framepipe/experiment"
	"framepipe/experiment/result"
	"framepipe/internal/doctor"
	"framepipe/internal/lab"
	"framepipe/internal/netem"
	"framepipe/stream"
)

// benchFlags say on which camera something is measured, and over which link.
func benchFlags() []cli.Flag {
	return append([]cli.Flag{
		&cli.StringFlag{Name: "camera", Usage: "the camera's `NAME`, once it connects here; without it, the first that does"},
		&cli.BoolFlag{Name: "local", Usage: "camera and receiver in this process"},
		&cli.StringFlag{Name: "source", Usage: "the camera of --local", DefaultText: "as planned, else pattern"},
		&cli.StringFlag{Name: "link", Usage: `with --local: simulate a link, "rate=35mbit,delay=5ms,loss=1%,queue=1MB" (needs root)`},
		&cli.StringFlag{Name: "listen", Value: ":1308", Usage: "where cameras connect to"},
		&cli.StringFlag{Name: "http", Usage: "also serve the page here, as in 127.0.0.1:8080"},
		&cli.DurationFlag{Name: "connect-timeout", Usage: "give up when no camera is there for so long; 0 = never"},
		&cli.BoolFlag{Name: "quiet", Usage: "say only what went wrong"},
	}, secureFlags()...)
}

func checkBench(c *cli.Command) error {
	switch local := c.Bool("local"); {
	case local && c.IsSet("camera"):
		return usagef("--camera names one that connects; --local takes --source", "--local and --camera exclude each other")
	case !local && c.IsSet("source"):
		return usagef("add --local", "--source is the camera of --local")
	case !local && c.String("link") != "":
		return usagef("add --local; over a real link nothing is simulated", "--link needs --local: the simulated link is within this machine")
	}
	return nil
}

// bench is a receiver, and with --local a camera, to measure on.
type bench struct {
	ctx    context.Context // ends with the camera
	cancel context.CancelFunc
	recv   *stream.Receiver
	want   string // the camera's name, "" = the first
	local  bool
	source string
	spec   string // of the link
	log    *slog.Logger
	give   time.Duration // up waiting after so long
	late   func() time.Duration

	wg    sync.WaitGroup
	once  sync.Once
	mu    sync.Mutex
	err   error // guarded by mu; why it ended by itself
	after []func() error
}

// openBench starts a receiver, and with --local a camera that sends to it.
func openBench(ctx context.Context, c *cli.Command, e *env, con *console, link, source string, seed uint64) (*bench, error) {
	b := &bench{want: c.String("camera"), local: c.Bool("local"), source: source, spec: link, give: c.Duration("connect-timeout"), log: con.logger()}
	b.ctx, b.cancel = context.WithCancel(ctx)
	if !b.local && link != "" {
		return nil, usagef("add --local", "this experiment simulates its link (%s), which is within this machine", link)
	}
	ln, dial, addr, err := b.connect(c, link, seed)
	if err != nil {
		return nil, errors.Join(err, b.close())
	}
	// Standard output is for results; how cameras get in is said beside the log.
	r := &receiving{env: &env{stdout: e.stderr, stderr: e.stderr}, con: con, log: b.log, guard: new(guard)}
	if !b.local {
		if r.guard, err = newGuard(c); err != nil {
			ln.Close()
			return nil, errors.Join(err, b.close())
		}
		r.announce(r.guard, ln.Addr())
	}
	cfg := stream.ReceiverConfig{Software: "framepipe " + Version(), RecordLength: 10 * time.Second, Log: b.log, Admit: r.guard.admit, TLS: r.guard.tls}
	r.recv = stream.NewReceiver(cfg)
	b.recv = r.recv
	b.wg.Go(func() { b.ended(b.recv.Run(b.ctx, ln)) })
	if addr := c.String("http"); addr != "" {
		if err := r.serveHTTP(b.ctx, addr); err != nil {
			return nil, errors.Join(err, b.close())
		}
		b.after = append(b.after, func() error { r.wg.Wait(); return nil })
	}
	if !b.local {
		b.log.Info("waiting for the camera on "+ln.Addr().String(), "start there", "framepipe send THIS-MACHINE")
		return b, nil
	}
	d := new(door)
	s := newSending(camera.Config{Source: source, Open: d.open, WaitFor: d.waitFor}, stream.SenderConfig{Address: addr, Dial: dial, Name: "local",
		Host: hostName(), Software: "framepipe " + Version(), Session: newSession()}, b.log)
	b.wg.Go(func() { b.ended(s.run(b.ctx)) })
	return b, nil
}

// connect listens, over a simulated link if one is asked for, and tells how to
// dial.
func (b *bench) connect(c *cli.Command, link string, seed uint64) (net.Listener, func(context.Context, string, string) (net.Conn, error), string, error) {
	if link == "" {
		listen := c.String("listen")
		if b.local {
			listen = "127.0.0.1:0"
		}
		ln, err := net.Listen("tcp", listen)
		if err != nil {
			return nil, nil, "", listenError(err, "--listen", listen)
		}
		return ln, nil, ln.Addr().String(), nil
	}
	path, err := netem.ParseSpec(link)
	if err != nil {
		return nil, nil, "", &usageError{err: err}
	}
	cfg := netem.Symmetric(path)
	cfg.Seed = seed
	l, err := netem.New(cfg)
	if err != nil {
		return nil, nil, "", &hinted{err, "run it as root (sudo), or leave --link out"}
	}
	// The link outlives the connections, so that they can say goodbye.
	pumps, stop := context.WithCancel(context.Background())
	carried := make(chan error, 1)
	go func() { carried <- l.Run(pumps) }()
	b.after = append(b.after, func() error {
		stop()
		return errors.Join(<-carried, l.Close())
	})
	worst := time.Duration(0)
	b.late = func() time.Duration { // the link tells the worst of its life
		now := l.Stats().Lateness
		if now <= worst {
			return 0
		}
		worst = now
		return now
	}
	ln, err := l.ListenIn(netem.B, "tcp", ":0")
	if err != nil {
		return nil, nil, "", err
	}
	return ln, func(ctx context.Context, network, address string) (net.Conn, error) {
		return l.DialIn(ctx, netem.A, network, address)
	}, fmt.Sprintf("%v:%d", l.B.Addr, ln.Addr().(*net.TCPAddr).Port), nil
}

// ended notes why a part ended by itself, and ends the others.
func (b *bench) ended(err error) {
	b.mu.Lock()
	if b.err == nil && err != nil && b.ctx.Err() == nil {
		b.err = err
	}
	b.mu.Unlock()
	b.cancel()
}

// close ends everything, waits for it, and tells why it had ended by itself.
func (b *bench) close() error {
	b.once.Do(func() {
		b.cancel()
		b.wg.Wait()
		for i := len(b.after) - 1; i >= 0; i-- {
			if err := b.after[i](); err != nil {
				b.mu.Lock()
				b.err = errors.Join(b.err, err)
				b.mu.Unlock()
			}
		}
	})
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// camera waits until the camera is connected.
func (b *bench) camera(ctx context.Context) (*stream.Feed, error) {
	var deadline <-chan time.Time
	if b.give > 0 {
		deadline = time.After(b.give)
	}
	said := time.Now()
	for {
		if f := b.find(); f != nil {
			if f.Status().Wire == "v0" {
				return nil, &hinted{fmt.Errorf("camera %s speaks wire v0, which takes no settings", f.Name()), "use framepipe send with --wire v1"}
			}
			return f, nil
		}
		if time.Since(said) > 10*time.Second {
			said = time.Now()
			b.log.Info("still waiting for the camera to connect", "camera", b.want, "here now", b.names())
		}
		select {
		case <-ctx.Done():
			return nil, cmp.Or(b.reason(), ctx.Err())
		case <-deadline:
			return nil, &hinted{fmt.Errorf("no camera %sconnected within %v", spaced(b.want), b.give), "start `framepipe send` at the camera; it keeps trying"}
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// find looks for the camera among those that are connected.
func (b *bench) find() *stream.Feed { return lab.Find(b.recv.Feeds(), b.want) }

func (b *bench) reason() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

func (b *bench) names() string {
	names := ""
	for _, f := range b.recv.Feeds() {
		names += f.Name() + " "
	}
	return names
}

func spaced(s string) string {
	if s == "" {
		return ""
	}
	return s + " "
}

// cameraFor is Config.Camera of an experiment: it waits for the camera, and
// writes the manifest when it is there for the first time.
func (b *bench) cameraFor(folder *result.Folder) func(context.Context) (experiment.Camera, error) {
	return func(ctx context.Context) (experiment.Camera, error) {
		f, err := b.camera(ctx)
		if err != nil {
			return nil, err
		}
		if folder.Manifest.Format == 0 {
			s := f.Status()
			err = folder.SetManifest(result.Manifest{Software: "framepipe " + Version(), Created: time.Now().UTC(), Name: f.Name(), Local: b.local, Source: b.source, Link: b.spec,
				Host: s.Host, CameraSoft: s.Software, Camera: s.Camera.Camera, CameraSide: s.Camera.Machine, ReceiverSide: doctor.Read(ctx, doctor.Options{})})
		}
		return f, err
	}
}

func hostName() string {
	h, _ := os.Hostname()
	return h
}

var _ experiment.Camera = (*stream.Feed)(nil)

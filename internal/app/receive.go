package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/urfave/cli/v3"

	"framepipe/camera"
	"framepipe/internal/bus"
	"framepipe/internal/discover"
	"framepipe/internal/lab"
	"framepipe/internal/record"
	"framepipe/internal/records"
	"framepipe/internal/web"
	"framepipe/measure"
	"framepipe/stream"
	"framepipe/wire"
)

func receiveCommand(e *env) *cli.Command {
	flags := append(captureFlags(""),
		&cli.StringFlag{Name: "listen", Value: ":1308", Usage: "where cameras connect to"},
		&cli.StringFlag{Name: "http", Value: "127.0.0.1:8080", Usage: `where the page is; "" = none, :8080 = for other machines too`},
		announceFlag(),
		&cli.DurationFlag{Name: "record-length", Value: measure.DefaultRecordLength, Usage: "length of a record"},
		&cli.IntFlag{Name: "records", Usage: "end after so many records of a camera (the origin: 100); 0 = go on"},
		&cli.StringFlag{Name: "summary", Usage: "write the origin's summary to `FILE`"},
		&cli.BoolFlag{Name: "keep-records", Value: true, Usage: "keep each camera's newest records in --state across a restart; not with port 0, unless --state says where"},
		&cli.StringFlag{Name: "frame-log", Usage: "write every frame's stamps and delays to `FILE` (CSV)"},
		&cli.StringFlag{Name: "save", Usage: "save frames as pictures in `DIR`"},
		&cli.StringFlag{Name: "record", Usage: "record to `FILE.mkv`; each further camera to FILE-NAME.mkv"},
		&cli.StringFlag{Name: "record-dir", Value: "recordings", Usage: "where the page may record to; \"\" = it may not"},
		&cli.StringFlag{Name: "experiments", Value: "experiments", Usage: "where experiments that the page, or framepipe experiment beside this, asks for keep their folders: `DIR`; \"\" = nobody may ask"},
		&cli.StringFlag{Name: "record-size", Usage: "begin another file beyond so much, as 500M or 4G"},
		&cli.DurationFlag{Name: "record-time", Usage: "begin another file after so long"},
		&cli.DurationFlag{Name: "every", Usage: "timelapse: --save and --record keep one frame each so long"},
		&cli.StringFlag{Name: "allow-origin", Usage: "let web pages of `ORIGIN` (https://host, or * for all) read pictures and figures"},
		&cli.StringSliceFlag{Name: "allow-host", Usage: "answer to `NAME` of this machine, too, without a token (DNS rebinding); may be repeated"},
		&cli.BoolFlag{Name: "http-plain", Usage: "with a token: also over http from other machines, for clients that cannot do https"},
		&cli.IntFlag{Name: "max-frame", Value: stream.DefaultMaxFrame, Usage: "largest frame in bytes"},
		&cli.IntFlag{Name: "max-pixels", Value: stream.DefaultMaxPixels, Usage: "largest picture in pixels, looked at before it is decoded"},
		&cli.IntFlag{Name: "max-connections", Usage: "most connections to --listen at once", DefaultText: "16 more than twice --max-cameras"},
		&cli.IntFlag{Name: "max-per-address", Value: stream.DefaultPerAddress, Usage: "most connections to --listen at once from one address; to --http ten times as many, where a page keeps one for each camera"},
		&cli.IntFlag{Name: "max-viewers", Value: web.DefaultMaxConns, Usage: "most connections to --http at once"},
		&cli.IntFlag{Name: "max-header", Value: web.DefaultMaxHeader, Usage: "largest head of a request to --http in bytes"},
		&cli.IntFlag{Name: "max-body", Value: web.DefaultMaxBody, Usage: "largest body of a request to --http in bytes"},
		&cli.IntFlag{Name: "max-log-lines", Value: logLines, Usage: "most log lines a minute that peers may cause; what is left out is counted"},
		&cli.DurationFlag{Name: "handshake-timeout", Value: stream.DefaultHandshake, Usage: "how long a peer may take to introduce itself"},
		&cli.DurationFlag{Name: "idle-timeout", Value: stream.DefaultTimeout, Usage: "how long a peer may take for one message"},
		&cli.DurationFlag{Name: "header-timeout", Value: web.DefaultHeaderTime, Usage: "how long the head of a request to --http may take, from the connection on"},
		&cli.DurationFlag{Name: "body-timeout", Value: web.DefaultBodyTime, Usage: "how long its body may take"},
		&cli.IntFlag{Name: "max-cameras", Value: stream.DefaultMaxCameras, Usage: "most cameras at once"},
		&cli.DurationFlag{Name: "for", Usage: "end after so long; 0 = go on"},
		&cli.BoolFlag{Name: "json", Usage: "write records as JSON lines to standard output"},
	)
	flags = append(append(append(append(flags, logFlags()...), profileFlag()), secureFlags()...), busFlags()...)
	return &cli.Command{
		Name: "receive", Usage: "the viewer's side: accept cameras, measure, show, record",
		Description: "Accepts any number of cameras, v0 and v1 on one port. For raw v0 frames, which say nothing\n" +
			"about themselves, -W, -H and --format tell what they are.\nWith --source, a camera of this machine is shown and measured as well.",
		Flags: withEnv("receive", flags),
		Action: func(ctx context.Context, c *cli.Command) error {
			if c.Args().Present() {
				return usagef("cameras dial the receiver: framepipe send ADDRESS", "receive takes no address, but got %q", c.Args().First())
			}
			return receive(ctx, e, c)
		},
	}
}

// largeEnough looks at the limits: the first that leaves no room for anything is named.
func largeEnough(c *cli.Command) error {
	for _, f := range []struct {
		name  string
		least int
	}{{"max-pixels", 1}, {"max-connections", 0}, {"max-per-address", 1}, {"max-viewers", 1}, {"max-header", 1000}, {"max-body", 1000}, {"max-log-lines", 1}} {
		if n := c.Int(f.name); n < f.least {
			return usagef("", "--%s %d: use %d or more", f.name, n, f.least)
		}
	}
	for _, name := range []string{"handshake-timeout", "idle-timeout", "header-timeout", "body-timeout"} {
		if d := c.Duration(name); d < time.Second {
			return usagef("", "--%s %v: use 1s or more", name, d)
		}
	}
	return nil
}

func receive(ctx context.Context, e *env, c *cli.Command) error {
	con, err := consoleOf(c, e.stderr)
	if err != nil {
		return err
	}
	r := &receiving{env: e, con: con, json: c.Bool("json"), save: c.String("save"), record: c.String("record"), every: c.Duration("every"), allowOrigin: c.String("allow-origin"),
		experiments: c.String("experiments"), allowHosts: c.StringSlice("allow-host"), plain: c.Bool("http-plain")}
	r.log, r.logBudget = limitLog(con.logger(), c.Int("max-log-lines"))
	cfg := stream.ReceiverConfig{Software: "framepipe " + Version(), MaxFrame: c.Int("max-frame"), MaxCameras: c.Int("max-cameras"),
		RecordLength: c.Duration("record-length"), Records: c.Int("records"), Log: r.log}
	switch {
	case cfg.MaxFrame < 1 || cfg.MaxFrame > wire.MaxFrameLimit:
		return usagef("", "--max-frame %d: use 1 to %d", cfg.MaxFrame, wire.MaxFrameLimit)
	case cfg.MaxCameras < 1:
		return usagef("", "--max-cameras %d: use 1 or more", cfg.MaxCameras)
	case cfg.RecordLength < 10*time.Millisecond:
		return usagef("", "--record-length %v: use 10ms or more", cfg.RecordLength)
	case cfg.Records < 0:
		return usagef("", "--records %d: use 0 or more", cfg.Records)
	case r.every < 0:
		return usagef("", "--every %v: use 0 or more", r.every)
	}
	cfg.MaxPixels, cfg.MaxConns, cfg.PerAddress = int64(c.Int("max-pixels")), c.Int("max-connections"), c.Int("max-per-address")
	cfg.Handshake, cfg.Timeout = c.Duration("handshake-timeout"), c.Duration("idle-timeout")
	r.conns = &web.Conns{Most: c.Int("max-viewers"), PerAddress: pageConns * cfg.PerAddress, MaxHeader: c.Int("max-header"), MaxBody: c.Int("max-body"),
		HeaderTime: c.Duration("header-timeout"), BodyTime: c.Duration("body-timeout")}
	if err := largeEnough(c); err != nil {
		return err
	}
	if err := r.recordings(c); err != nil {
		return err
	}
	local, err := cameraConfig(c)
	if err != nil {
		return err
	}
	cfg.Raw = stream.RawFormat{Width: local.Capture.Width, Height: local.Capture.Height}
	if c.IsSet("format") {
		cfg.Raw.Format = local.Capture.Format
	}
	if r.busTo, err = r.busConfig(c, cfg.MaxFrame); err != nil {
		return err
	}
	if r.guard, err = newGuard(c); err != nil {
		return err
	}
	cfg.Admit, cfg.TLS = r.guard.admit, r.guard.tls
	if err := r.openFiles(c, &cfg); err != nil {
		return err
	}
	defer r.closeFiles()
	ln, err := net.Listen("tcp", c.String("listen"))
	if err != nil {
		return listenError(err, "--listen", c.String("listen"))
	}
	r.openBook(c, &cfg)
	defer r.book.Close()
	r.announce(r.guard, ln.Addr())
	r.log.Info("waiting for cameras on " + ln.Addr().String())
	r.announced = r.announcement(c, ln.Addr())
	if d := c.Duration("for"); d > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d)
		defer cancel()
	}
	profiling, stop := context.WithCancel(ctx)
	profiled, err := profiles(profiling, c, r.log)
	if err != nil {
		stop()
		return errors.Join(err, ln.Close())
	}
	defer profiled()
	defer stop()
	return r.run(ctx, cfg, ln, c.String("http"), local)
}

// pageConns is how many more connections one address may have to the page than to
// --listen: a page has one for each camera and some beside, people have several pages,
// and behind one address there may be several people.
const pageConns = 10

func listenError(err error, flag, addr string) error {
	hint := ""
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		hint = "another program uses this port (see: ss -ltnp); choose another with " + flag
	case errors.Is(err, syscall.EACCES):
		hint = "ports below 1024 need root; choose another with " + flag
	default:
		if _, ok := errors.AsType[*net.AddrError](err); ok {
			return &usageError{err, "write " + flag + " as host:port or :port"}
		}
	}
	return &hinted{fmt.Errorf("cannot listen on %s: %w", addr, err), hint}
}

// receiving is a receiver with all that it writes to.
type receiving struct {
	env   *env
	con   *console
	log   *slog.Logger
	guard *guard // nil = HTTP asks for nothing
	json  bool
	quiet bool // records are not printed

	allowOrigin  string
	allowHosts   []string
	conns        *web.Conns
	plain        bool                   // tokens may come over http
	listens      net.Addr               // where cameras come in; nil = they do not by themselves
	announced    *discover.Announcement // nil = nothing
	busTo        *bus.Config            // nil = no bus
	bus          *bus.Bus               // the same
	save, record string                 // as the flags
	every        time.Duration
	recorder     record.Manager
	experiments  string // folder, "" = none
	lab          *lab.Manager

	records   int // as --records
	recv      *stream.Receiver
	web       *web.Server           // nil = none
	page      string                // its address
	beside    func(context.Context) // runs while it receives, once the page is there; may be nil
	summaries *summaries
	frameLog  *measure.FrameLog
	book      *records.Book // nil = records are forgotten with us
	logBudget *logBudget    // nil = nobody bounds what peers can make us log
	logFile   *lateFile

	mu         sync.Mutex
	done       map[string]bool                     // guarded by mu; cameras that have all their records
	recordedTo *stream.Feed                        // guarded by mu; whose frames go to the file that --record names
	saving     map[*stream.Feed]context.CancelFunc // guarded by mu; ends --save of a camera
	stop       context.CancelFunc
	wg         sync.WaitGroup
}

func (r *receiving) openFiles(c *cli.Command, cfg *stream.ReceiverConfig) error {
	r.records = cfg.Records
	if name := c.String("summary"); name != "" {
		s, err := newSummaries(name)
		if err != nil {
			return err
		}
		r.summaries = s
	}
	if name := c.String("frame-log"); name != "" {
		f, err := createLate("frame log", name, r.log)
		if err != nil {
			return fmt.Errorf("frame log: %w", err)
		}
		r.logFile = f
		go f.run() // closeFiles awaits it
		if r.frameLog, err = measure.NewFrameLog(f); err != nil {
			return fmt.Errorf("frame log: %w", err)
		}
		cfg.FrameLog = r.frameLog
	}
	if dir := c.String("save"); dir != "" {
		if err := os.MkdirAll(dir, 0o777); err != nil {
			return fmt.Errorf("--save: %w", err)
		}
	}
	return nil
}

func (r *receiving) closeFiles() {
	if r.summaries != nil {
		r.summaries.close()
	}
	if r.frameLog != nil {
		_ = r.frameLog.Flush() // a lateFile does not fail, it tells
		r.logFile.close()
	}
}

// run receives until ctx ends or all records are there.
func (r *receiving) run(ctx context.Context, cfg stream.ReceiverConfig, ln net.Listener, httpAddr string, local camera.Config) error {
	ctx, r.stop = context.WithCancel(ctx)
	defer r.stop()
	r.listens = ln.Addr()
	r.done, r.saving = make(map[string]bool), make(map[*stream.Feed]context.CancelFunc)
	closed := newQueue[*measure.Record]()
	cfg.Recorded = closed.put // called on the frame path, which must not wait for terminals and disks
	var writer sync.WaitGroup
	writer.Go(func() { closed.each(r.recorded) })
	cfg.Opened = func(f *stream.Feed) { r.opened(ctx, f) }
	cfg.Forgotten = func(f *stream.Feed) { r.wg.Go(func() { r.forgotten(f) }) }
	r.recv = stream.NewReceiver(cfg)
	err := r.joinBus()
	if err == nil && httpAddr != "" {
		err = r.serveHTTP(ctx, httpAddr)
	}
	if err != nil {
		ln.Close()
		closed.end()
		writer.Wait()
		return err
	}
	if r.bus != nil {
		r.wg.Go(func() { r.runBus(ctx) })
	}
	if r.announced != nil {
		r.wg.Go(func() { r.announced.Run(ctx) })
	}
	if r.beside != nil {
		r.wg.Go(func() { r.beside(ctx) })
	}
	var localErr error
	if local.Source != "" {
		r.wg.Go(func() {
			if localErr = r.local(ctx, local); localErr != nil {
				r.stop()
			}
		})
	}
	if r.con.tty || r.records > 0 { // else there is nobody to tell and nothing to wait for
		r.wg.Go(func() {
			every(ctx, 500*time.Millisecond, func() {
				if r.con.tty {
					r.con.setStatus(r.statusLine())
				}
				r.stopWhenDone()
			})
		})
	}
	manager := newNotifier(r.log)
	manager.ready() // it listens
	r.wg.Go(func() { manager.run(ctx, r.statusLine, r.look()) })
	err = r.recv.Run(ctx, ln)
	r.stop()
	r.wg.Wait()
	closed.end()
	writer.Wait()
	err = errors.Join(err, r.endRecordings())
	r.con.setStatus("")
	for _, f := range r.recv.Feeds() {
		r.finalLine(f)
	}
	return errors.Join(localErr, err)
}

// local runs a camera of this machine.
func (r *receiving) local(ctx context.Context, cfg camera.Config) error {
	name, _, _ := strings.Cut(cfg.Source, "?")
	sink, feed, err := r.recv.Local(name)
	if err != nil {
		return err
	}
	cfg.Log = r.log
	var cam *camera.Runner
	state := func() wire.StateText { return stateText(cam.State()) }
	cfg.Changed = func() {
		st := state()
		sink.SetState(st, st.Error)
	}
	cam = camera.New(cfg)
	sink.SetControl(func(ctx context.Context, set wire.Settings) wire.StateText {
		return applySettings(ctx, cam, set, nil, state)
	})
	if err := cam.Run(ctx, sink); err != nil {
		return err
	}
	sink.End("the source ended")
	r.log.Info("camera ended", "camera", feed.Name())
	return nil
}

// opened is told each new camera.
func (r *receiving) opened(ctx context.Context, f *stream.Feed) {
	if r.save != "" {
		ctx, cancel := context.WithCancel(ctx)
		r.mu.Lock()
		r.saving[f] = cancel
		r.mu.Unlock()
		r.wg.Go(func() { savePictures(ctx, f, r.save, r.every, r.log) })
	}
	if r.record != "" {
		r.startRecording(f)
	}
	if r.bus != nil {
		r.bus.Opened(f)
	}
}

// forgotten ends what was kept for a camera that made room for another.
func (r *receiving) forgotten(f *stream.Feed) {
	r.mu.Lock()
	if cancel := r.saving[f]; cancel != nil {
		cancel()
		delete(r.saving, f)
	}
	r.mu.Unlock()
	r.endRecording(f)
	r.book.Forgotten(f.Name(), f.Records())
	r.finalLine(f)
}

// recorded writes a closed record everywhere. With --records, the run ends when
// every camera has them all.
func (r *receiving) recorded(rec *measure.Record) {
	switch {
	case r.quiet:
	case r.json:
		b, err := json.Marshal(rec)
		if err == nil {
			r.con.line(r.env.stdout, string(b))
		}
	default:
		r.con.line(r.env.stdout, fmt.Sprintf("%s record %d: %s", rec.Camera, rec.Number, rec.Line()))
	}
	r.book.Add(rec)
	if r.bus != nil {
		r.bus.Recorded(rec)
	}
	if r.summaries != nil {
		if err := r.summaries.add(rec); err != nil {
			r.log.Error("the summary is incomplete", "cause", err)
		}
	}
	if r.frameLog != nil {
		_ = r.frameLog.Flush() // a lateFile does not fail, it tells
	}
	if r.records == 0 || !rec.Complete {
		return
	}
	r.mu.Lock()
	if rec.Number >= r.records {
		r.done[rec.Camera] = true
	}
	r.mu.Unlock()
	r.stopWhenDone()
}

// stopWhenDone ends the run when some camera has all its records and no camera
// that is still connected lacks any.
func (r *receiving) stopWhenDone() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.done) == 0 {
		return
	}
	for _, f := range r.recv.Feeds() {
		if !r.done[f.Name()] && f.Status().Connected {
			return
		}
	}
	r.stop()
}

//go:build linux

// Command fanout measures what one receiver costs when many look: the release
// build's `receive`, fed by `send`, serves MJPEG to viewers in a process of their
// own, in turns with the least that such a server can cost (floor.go), and with
// go2rtc where PEER_GO2RTC names its program. All are fed by the same camera, which
// speaks MJPEG over HTTP and writes into each picture when it was made, and looked at
// by the same viewers. Figures come in the Go benchmark format.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"image"
	"image/jpeg"
	"log"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"framepipe/test/release"
	"framepipe/test/sheet"
)

func main() {
	os.Setenv("FRAMEPIPE_RECEIVE_KEEP_RECORDS", "false") // these are nobody's
	log.SetFlags(0)
	log.SetPrefix("fanout: ")
	reps := flag.Int("reps", 3, "repetitions; the programs take turns")
	length := flag.Duration("for", 10*time.Second, "how long each is measured")
	only := flag.String("only", "", "names of the cases to run, separated by commas; all without")
	doc := flag.String("doc", "", "write the table into this `file`, between its marks, and a plot beside it (performance/fanout.svg)")
	beside := flag.String("beside", "", "another build of framepipe, to be measured in turns with this one: its `file`")
	asViewers := flag.Int("viewers", 0, "(for itself) be so many viewers of the addresses that follow")
	asFloor := flag.String("floor", "", "(for itself) serve FILE here")
	asFeed := flag.String("feed", "", "(for itself) be a camera here that shows FILE")
	fps := flag.Float64("fps", 30, "(for itself) with -floor and -feed")
	flag.Parse()
	var err error
	switch {
	case *asViewers > 0:
		err = viewers(*asViewers, flag.Args(), *length)
	case *asFloor != "":
		err = floor(*asFloor, flag.Arg(0), *fps)
	case *asFeed != "":
		err = feed(*asFeed, flag.Arg(0), *fps)
	default:
		err = run(*reps, *length, strings.FieldsFunc(*only, func(r rune) bool { return r == ',' }), *doc, *beside)
	}
	if err != nil {
		log.Fatal(err)
	}
}

// work is one case: so many viewers of so many cameras.
type work struct {
	name    string
	bytes   int
	fps     int
	viewers int
	cameras int
	floor   bool // beside the floor and the peers
	sent    bool // by a sender of its own, even if there is one camera only
}

var cases = []work{
	{name: "1x68kB", bytes: 68_000, fps: 30, viewers: 1, cameras: 1, floor: true},
	{name: "20x68kB", bytes: 68_000, fps: 30, viewers: 20, cameras: 1, floor: true},
	{name: "100x68kB", bytes: 68_000, fps: 30, viewers: 100, cameras: 1, floor: true},
	{name: "1000x20kB", bytes: 20_000, fps: 10, viewers: 1000, cameras: 1, floor: true},
	{name: "1camera", bytes: 68_000, fps: 30, viewers: 1, cameras: 1, sent: true},
	{name: "16cameras", bytes: 68_000, fps: 30, viewers: 16, cameras: 16},
}

// figures are what one run of one case gave.
type figures struct {
	seen
	CPU       float64 // us of the server per delivered frame
	RSS       float64 // kB of the server per viewer, beyond what it had without any
	Resident  float64 // MB of the server at the end
	Own       float64 // of it, MB that are not a file's pages
	Load      float64 // share of one core that the server used
	Imbalance int64   // frames that the ledger cannot account for
	Lost      float64 // frames that did not reach the receiver in order
}

// program is one that is measured.
type program struct {
	name string
	run  func(work, time.Duration) (figures, error)
}

type bench struct {
	dir, exe, self string
	go2rtc         string // "" = not here
	peerName       string // what it says of itself
	ustreamer      string // "" = not here
	ustreamerName  string
	cameraLib      string // the camera that is preloaded into it
}

func run(reps int, length time.Duration, only []string, doc, beside string) error {
	dir, err := os.MkdirTemp("", "framepipe-fanout-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{dir: dir, exe: filepath.Join(dir, "framepipe")}
	if err := release.Build(b.exe, "bench"); err != nil {
		return err
	}
	if b.self, err = os.Executable(); err != nil {
		return err
	}
	if name := os.Getenv("PEER_GO2RTC"); name != "" {
		if b.go2rtc, err = exec.LookPath(name); err != nil {
			return fmt.Errorf("PEER_GO2RTC: %w", err)
		}
		version, err := exec.Command(b.go2rtc, "--version").CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s: %w", b.go2rtc, err)
		}
		b.peerName = strings.TrimSpace(string(version))
		if f := strings.Fields(b.peerName); len(f) > 2 && f[1] == "version" {
			b.peerName = f[0] + " " + f[2]
		}
		fmt.Printf("peer: %s\n", strings.TrimSpace(string(version)))
	}
	if err := b.findUstreamer(); err != nil {
		return fmt.Errorf("ustreamer: %w", err)
	}
	if b.ustreamer != "" {
		fmt.Printf("peer: %s\n", b.ustreamerName)
	}
	fmt.Printf("goos: %s\ngoarch: %s\ngo: %s\ncpus: %d\n", runtime.GOOS, runtime.GOARCH, runtime.Version(), runtime.NumCPU())
	fmt.Println("Unit us/frame better=lower\nUnit p50-ms better=lower\nUnit p99-ms better=lower\nUnit kB/viewer better=lower")
	var t table
	for _, w := range cases {
		if len(only) > 0 && !slices.Contains(only, w.name) {
			continue
		}
		if err := b.writeFrame(w.bytes); err != nil {
			return err
		}
		programs := []program{{"framepipe", b.framepipe}}
		if beside != "" {
			other := *b
			other.exe = beside
			programs = append(programs, program{"the other build", other.framepipe})
		}
		if w.floor {
			programs = append(programs, program{"floor", b.floor})
			if b.go2rtc != "" {
				programs = append(programs, program{b.peerName, b.peer})
			}
			if b.ustreamer != "" {
				programs = append(programs, program{b.ustreamerName, b.pass})
			}
		}
		all := map[string][]figures{}
		for range reps {
			for _, p := range programs {
				f, err := p.run(w, length)
				if err != nil {
					return fmt.Errorf("%s: %s: %w", w.name, p.name, err)
				}
				all[p.name] = append(all[p.name], f)
				print(p.name, w, f)
			}
		}
		ours := all["framepipe"]
		line := fmt.Sprintf("# %s: median %.1f us of the server's processor time per delivered frame, latency p99 %.1f ms", w.name, median(ours, cpu), median(ours, p99))
		for _, p := range programs[1:] {
			theirs := median(all[p.name], cpu)
			line += fmt.Sprintf("; %s %.1f us, %.1f ms: %.2f x", p.name, theirs, median(all[p.name], p99), median(ours, cpu)/theirs)
		}
		fmt.Println(line)
		for _, p := range programs {
			t.add(w, p.name, all[p.name])
		}
	}
	if doc == "" {
		return nil
	}
	if err := sheet.Replace(doc, "fanout", t.text(reps, length)); err != nil {
		return err
	}
	return sheet.Bars(filepath.Join(filepath.Dir(doc), "performance", "fanout.svg"), "µs of the server's processor time per delivered frame", t.bars)
}

func print(name string, w work, f figures) {
	fmt.Printf("BenchmarkFanout/work=%s/program=%s 1 %.1f us/frame %.3f p50-ms %.3f p99-ms %.1f kB/viewer %.1f MB %.1f own-MB %.3f cores %.2f worst-fps %.2f mean-fps %d imbalance\n",
		w.name, strings.ReplaceAll(name, " ", "-"), f.CPU, f.P50, f.P99, f.RSS, f.Resident, f.Own, f.Load,
		float64(f.Least)/f.Seconds, float64(f.Frames)/f.Seconds/float64(w.viewers), f.Imbalance)
	if f.Failed != "" {
		fmt.Printf("# a viewer failed: %s\n", f.Failed)
	}
}

// writeFrame makes a JPEG of about n bytes, as a picture and as a stream.
func (b *bench) writeFrame(n int) error {
	m := image.NewYCbCr(image.Rect(0, 0, 640, 480), image.YCbCrSubsampleRatio420)
	r := rand.New(rand.NewPCG(1, 1))
	for i := range m.Y {
		m.Y[i] = byte(100 + i%640/8 + r.IntN(40))
	}
	var j bytes.Buffer
	for q := 5; q <= 100 && j.Len() < n; q++ {
		j.Reset()
		if err := jpeg.Encode(&j, m, &jpeg.Options{Quality: q}); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(b.dir, "frame.jpg"), j.Bytes(), 0o666); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(b.dir, "frames.mjpeg"), bytes.Repeat(j.Bytes(), 30), 0o666)
}

// camera starts the camera of all programs, at the given address.
func (b *bench) camera(ctx context.Context, w work) (addr string, stop func(), err error) {
	if addr, err = freeAddr(); err != nil {
		return "", nil, err
	}
	c := exec.CommandContext(ctx, b.self, "-feed", addr, "-fps", strconv.Itoa(w.fps), filepath.Join(b.dir, "frame.jpg"))
	out, err := c.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := c.Start(); err != nil {
		return "", nil, err
	}
	bufio.NewScanner(out).Scan() // ready
	return addr, func() { end(c) }, nil
}

// framepipe runs a receiver, its cameras and its viewers. With one camera, the
// receiver fetches its stream itself, as the others do; with more, senders do.
func (b *bench) framepipe(w work, length time.Duration) (figures, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	feeder, stop, err := b.camera(ctx, w)
	if err != nil {
		return figures{}, err
	}
	defer stop()
	listen, err := freeAddr()
	if err != nil {
		return figures{}, err
	}
	web, err := freeAddr()
	if err != nil {
		return figures{}, err
	}
	args := []string{"receive", "--listen", listen, "--http", web, "--quiet"}
	if w.cameras == 1 && !w.sent {
		args = append(args, "--source", "http://"+feeder+"/")
	}
	recv := exec.CommandContext(ctx, b.exe, args...)
	recv.Stderr = os.Stderr
	if err := recv.Start(); err != nil {
		return figures{}, err
	}
	defer end(recv)
	targets := []string{web + "/stream"}
	if w.cameras > 1 || w.sent {
		targets = nil
		for i := range w.cameras {
			name := "cam" + strconv.Itoa(i)
			send := exec.CommandContext(ctx, b.exe, "send", "--quiet", "--name", name, "--connect-retry", "30s", "--source", "http://"+feeder+"/", listen)
			if err := send.Start(); err != nil {
				return figures{}, err
			}
			defer end(send)
			targets = append(targets, web+"/cameras/"+name+"/stream")
		}
	}
	time.Sleep(3 * time.Second) // hello, clock exchange, steady state
	return b.watch(ctx, recv.Process.Pid, w, targets, length)
}

// peer runs go2rtc, with everything off but what is measured.
func (b *bench) peer(w work, length time.Duration) (figures, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	feeder, stop, err := b.camera(ctx, w)
	if err != nil {
		return figures{}, err
	}
	defer stop()
	web, err := freeAddr()
	if err != nil {
		return figures{}, err
	}
	config := fmt.Sprintf(`{"app":{"modules":["api","http","mjpeg"]},"api":{"listen":%q},"log":{"level":"error"},"streams":{"cam0":"http://%s/"}}`, web, feeder)
	c := exec.CommandContext(ctx, b.go2rtc, "-config", config)
	c.Stderr = os.Stderr
	if err := c.Start(); err != nil {
		return figures{}, err
	}
	defer end(c)
	time.Sleep(2 * time.Second)
	return b.watch(ctx, c.Process.Pid, w, []string{web + "/api/stream.mjpeg?src=cam0"}, length)
}

func (b *bench) floor(w work, length time.Duration) (figures, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	addr, err := freeAddr()
	if err != nil {
		return figures{}, err
	}
	c := exec.CommandContext(ctx, b.self, "-floor", addr, "-fps", strconv.Itoa(w.fps), filepath.Join(b.dir, "frame.jpg"))
	if err := c.Start(); err != nil {
		return figures{}, err
	}
	defer end(c)
	time.Sleep(time.Second)
	return b.watch(ctx, c.Process.Pid, w, []string{addr + "/"}, length)
}

// watch lets viewers look at a server, and reads what that cost it.
func (b *bench) watch(ctx context.Context, pid int, w work, targets []string, length time.Duration) (figures, error) {
	before := memory(pid, "VmRSS:")
	c := exec.CommandContext(ctx, b.self, append([]string{"-viewers", strconv.Itoa(w.viewers), "-for", length.String()}, targets...)...)
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err != nil {
		return figures{}, err
	}
	if err := c.Start(); err != nil {
		return figures{}, err
	}
	defer end(c)
	s := bufio.NewScanner(out)
	if !s.Scan() {
		return figures{}, fmt.Errorf("the viewers said nothing")
	}
	cpu, start := cpuTime(pid), time.Now()
	time.Sleep(length - 100*time.Millisecond)
	used, passed := cpuTime(pid)-cpu, time.Since(start)
	after := memory(pid, "VmRSS:")
	f := figures{RSS: (after - before) / float64(w.viewers), Resident: after / 1000, Own: memory(pid, "RssAnon:") / 1000, Load: used.Seconds() / passed.Seconds()}
	if !s.Scan() {
		return figures{}, fmt.Errorf("the viewers did not report")
	}
	if err := json.Unmarshal(s.Bytes(), &f.seen); err != nil {
		return figures{}, err
	}
	if f.Frames > 0 {
		f.CPU = used.Seconds() * 1e6 / (float64(f.Frames) * passed.Seconds() / f.Seconds)
	}
	return f, nil
}

// cpuTime is what all threads of a process have used, from the scheduler's own
// account, which counts nanoseconds (Documentation/scheduler/sched-stats.rst).
func cpuTime(pid int) time.Duration {
	var sum time.Duration
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // the thread ended
		}
		ns, _ := strconv.ParseInt(strings.Fields(string(b) + " 0")[0], 10, 64)
		sum += time.Duration(ns)
	}
	return sum
}

// memory is one line of a process's memory in kB (proc_pid_status(5)).
func memory(pid int, name string) float64 {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	_, rest, _ := strings.Cut(string(b), name)
	f := strings.Fields(rest)
	if len(f) == 0 {
		return 0
	}
	kb, _ := strconv.ParseFloat(f[0], 64)
	return kb
}

func end(c *exec.Cmd) {
	c.Process.Signal(syscall.SIGTERM)
	c.Wait()
}

func freeAddr() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer ln.Close()
	return ln.Addr().String(), nil
}

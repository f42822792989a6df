// Command bench measures the whole program, as release builds and separate
// processes over loopback, and prints rows in Go benchmark format that benchstat
// reads. Ratios are formed within one run, the runs being interleaved, because
// the machine's speed drifts. It needs Go, and Python 3 for the pair of scripts
// that it compares with.
//
//	go run ./test/bench            about four minutes
//	go run ./test/bench -long      memory over ten minutes
//	go run ./test/bench -small     what matters on small machines
//	go run ./test/bench -tls       what TLS costs, by cipher
//	go run ./test/bench -tls-arm64 the same on arm64, in instructions (qemu-user)
package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"image"
	"image/jpeg"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"framepipe/test/release"
	"framepipe/test/sheet"
)

func main() {
	os.Setenv("FRAMEPIPE_RECEIVE_KEEP_RECORDS", "false") // these are nobody's
	reps := flag.Int("reps", 5, "repetitions of each throughput measurement")
	long := flag.Bool("long", false, "watch memory for ten minutes instead of twenty seconds")
	encrypted := flag.Bool("tls", false, "measure what TLS costs, and nothing else")
	asSink := flag.Bool("sink", false, "(for itself) take frames and count them")
	pourTo := flag.String("pour", "", "(for itself) send frames of -size bytes to this `address`")
	size := flag.Int("size", 0, "(for itself) see -pour")
	smallOnly := flag.Bool("small", false, "measure what matters on small machines, and nothing else")
	sealing := flag.Int("seal", 0, "(for itself) encrypt so many frames")
	arm := flag.Bool("tls-arm64", false, "count the instructions that encryption takes on arm64, and nothing else")
	doc := flag.String("doc", "", "write the table into this `file`, between its marks")
	flag.Parse()
	if *sealing > 0 || *arm {
		err := error(nil)
		if *arm {
			err = instructions()
		} else {
			err = seal(*sealing)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	if *asSink || *pourTo != "" {
		err := error(nil)
		if *asSink {
			err = sink()
		} else {
			err = pour(*pourTo, *size)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	if err := run(*reps, *long, *encrypted, *smallOnly, *doc); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// bench is one run: its working folder, and the program under test.
type bench struct {
	dir, exe string
	py       string // the Python that runs the pair
	pil      string // its version of PIL; empty = it has none
}

func run(reps int, long, encrypted, smallOnly bool, doc string) error {
	dir, err := os.MkdirTemp("", "framepipe-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{dir: dir, exe: filepath.Join(dir, "framepipe")}
	if err := release.Build(b.exe, "bench"); err != nil {
		return err
	}
	size, err := b.writeFrames()
	if err != nil {
		return err
	}
	fmt.Printf("goos: %s\ngoarch: %s\ncpu: %s\ngo: %s\nframe-bytes: %d\n", runtime.GOOS, runtime.GOARCH, sheet.Processor(), runtime.Version(), size)
	fmt.Println("Unit frames/s better=higher\nUnit p50-ms better=lower\nUnit p99-ms better=lower\nUnit rss-MB better=lower")
	if encrypted {
		return b.encryption(reps)
	}
	if smallOnly {
		return b.small(reps)
	}
	b.findPython()
	fmt.Printf("python-pil: %s\n", cmp.Or(b.pil, "none: only the JPEGs' sizes are looked for"))
	fps := make(map[string][]float64)
	for range reps {
		for _, m := range []struct {
			name string
			run  func() (float64, error)
		}{
			{"program=framepipe/wire=v1", func() (float64, error) { return b.throughput("v1") }},
			{"program=framepipe/wire=v0", func() (float64, error) { return b.throughput("v0") }},
			{"program=bare-go-sink/wire=v0", b.bare},
			{"program=bare-go-pair/wire=v0", func() (float64, error) { return b.floor(size) }},
			{"program=python/wire=v0", func() (float64, error) { return b.python(true) }},
			{"program=python-reads-only/wire=v0", func() (float64, error) { return b.python(false) }},
		} {
			v, err := m.run()
			if err != nil {
				return fmt.Errorf("%s: %w", m.name, err)
			}
			fps[m.name] = append(fps[m.name], v)
			fmt.Printf("BenchmarkUnpaced/%s 1 %.0f frames/s\n", m.name, v)
		}
	}
	p50, p99, err := b.paced()
	if err != nil {
		return fmt.Errorf("paced: %w", err)
	}
	fmt.Printf("BenchmarkPaced/fps=30/from=capture/to=delivered 1 %.3f p50-ms %.3f p99-ms\n", p50, p99)
	if err := b.memory(long); err != nil {
		return fmt.Errorf("memory: %w", err)
	}
	if err := b.small(reps); err != nil {
		return fmt.Errorf("small machines: %w", err)
	}
	v1, py, reads := sheet.Median(fps["program=framepipe/wire=v1"]), sheet.Median(fps["program=python/wire=v0"]), sheet.Median(fps["program=python-reads-only/wire=v0"])
	fmt.Printf("# one connection over loopback, %d-byte JPEG, medians of %d interleaved runs: %.0f frames/s on wire v1, %.0f by the Python pair: %.1f x; %.0f by one whose server only reads: %.1f x; our sender on v0 to a bare Go sink %.0f: v1 into receive is %.2f x of that\n",
		size, reps, v1, py, v1/py, reads, v1/reads, sheet.Median(fps["program=bare-go-sink/wire=v0"]), v1/sheet.Median(fps["program=bare-go-sink/wire=v0"]))
	if doc == "" {
		return nil
	}
	text := fmt.Sprintf("%s. One connection over loopback, %d-byte JPEGs as fast as they go; medians of %d interleaved runs.\n\n| sender → receiver | frames/s | wire v1 beside it |\n|---|---:|---:|\n", sheet.Machine(), size, reps)
	pil := "opens each picture with PIL " + b.pil
	if b.pil == "" {
		pil = "looks for each picture's size; no PIL on this machine"
	}
	for _, r := range [][2]string{
		{"`send` → `receive`, wire v1: stamps, acknowledgements, ledger", "program=framepipe/wire=v1"},
		{"`send` → `receive`, wire v0", "program=framepipe/wire=v0"},
		{"`send`, wire v0 → a bare Go program that only reads", "program=bare-go-sink/wire=v0"},
		{"a bare Go program that writes one buffer again and again → the same", "program=bare-go-pair/wire=v0"},
		{"a pair of Python scripts, wire v0; the server " + pil, "program=python/wire=v0"},
		{"the same; the server only reads", "program=python-reads-only/wire=v0"},
	} {
		m := sheet.Median(fps[r[1]])
		text += fmt.Sprintf("| %s | %.0f | %.2f × |\n", r[0], m, v1/m)
	}
	return sheet.Replace(doc, "ingest", text)
}

// writeFrames makes the frame that is sent, of about the origin's mean size, as a
// stream for replay: and as pictures in a folder for the Python camera.
func (b *bench) writeFrames() (int, error) {
	const want = 67_621
	m := image.NewYCbCr(image.Rect(0, 0, 640, 480), image.YCbCrSubsampleRatio420)
	r := rand.New(rand.NewPCG(1, 1))
	for i := range m.Y {
		m.Y[i] = byte(100 + i%640/8 + r.IntN(40))
	}
	var j bytes.Buffer
	for q := 40; q <= 100 && j.Len() < want; q++ {
		j.Reset()
		if err := jpeg.Encode(&j, m, &jpeg.Options{Quality: q}); err != nil {
			return 0, err
		}
	}
	if err := os.Mkdir(filepath.Join(b.dir, "pictures"), 0o777); err != nil {
		return 0, err
	}
	if err := os.WriteFile(filepath.Join(b.dir, "pictures", "1.jpg"), j.Bytes(), 0o666); err != nil {
		return 0, err
	}
	return j.Len(), os.WriteFile(filepath.Join(b.dir, "frames.mjpeg"), bytes.Repeat(j.Bytes(), 30), 0o666)
}

// record is what is read of `framepipe receive --json`.
type record struct {
	Frames  int64
	FPS     float64
	Latency *struct {
		P50 float64 `json:"p50_ms"`
		P99 float64 `json:"p99_ms"`
	}
	Imbalance int64
}

// pair runs receiver and sender until the receiver has its records.
func (b *bench) pair(records int, length string, send ...string) ([]record, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	recv := exec.CommandContext(ctx, b.exe, "receive", "--listen", addr, "--http", "", "--json", "--quiet", "--records", strconv.Itoa(records), "--record-length", length)
	out, err := recv.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := recv.Start(); err != nil {
		return nil, err
	}
	sender := exec.CommandContext(ctx, b.exe, append([]string{"send", "--quiet"}, append(send, addr)...)...)
	if err := sender.Start(); err != nil {
		return nil, err
	}
	var all []record
	for s := bufio.NewScanner(out); s.Scan(); {
		var r record
		if err := json.Unmarshal(s.Bytes(), &r); err != nil {
			return nil, err
		}
		if r.Imbalance != 0 {
			return nil, fmt.Errorf("the ledger does not balance: %s", s.Text())
		}
		all = append(all, r)
	}
	err = recv.Wait()
	sender.Process.Signal(os.Interrupt)
	sender.Wait()
	if err == nil && len(all) < records {
		err = fmt.Errorf("%d records, want %d", len(all), records)
	}
	return all, err
}

// throughput is the frame rate of an unpaced stream; the first record is
// warm-up.
func (b *bench) throughput(wire string) (float64, error) {
	rs, err := b.pair(2, "2s", "--source", "replay:"+filepath.Join(b.dir, "frames.mjpeg")+"?rate=max&loop=1", "--policy", "block", "--wire", wire)
	if err != nil {
		return 0, err
	}
	return rs[1].FPS, nil
}

// paced is the latency from the capture stamp to delivery at 30 fps.
func (b *bench) paced() (p50, p99 float64, err error) {
	rs, err := b.pair(2, "10s", "--source", "replay:"+filepath.Join(b.dir, "frames.mjpeg")+"?loop=1", "--fps", "30")
	if err != nil {
		return 0, 0, err
	}
	if rs[1].Latency == nil {
		return 0, 0, fmt.Errorf("no latency in %+v", rs[1])
	}
	return rs[1].Latency.P50, rs[1].Latency.P99, nil
}

// findPython looks for a Python that has PIL, with which the origin's server opens
// its pictures; without, the peers look for the pictures' sizes alone.
func (b *bench) findPython() {
	b.py = "python3"
	for _, py := range []string{"python3", "/usr/bin/python3"} {
		if out, err := exec.Command(py, "-c", "import PIL; print(PIL.__version__)").Output(); err == nil {
			b.py, b.pil = py, strings.TrimSpace(string(out))
			return
		}
	}
}

// python is the frame rate of the two scripts that behave as the origin's, opening
// every JPEG as its server does, or leaving them alone.
func (b *bench) python(open bool) (float64, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	args := []string{"test/peers/v0_server.py", "--address", "127.0.0.1", "--port", "0", "--records", "2", "--record-length", "2",
		"--summary", filepath.Join(b.dir, "python.txt")}
	switch {
	case !open:
		args = append(args, "--no-open")
	case b.pil != "":
		args = append(args, "--pil")
	}
	server := exec.CommandContext(ctx, b.py, args...)
	server.Env = append(os.Environ(), "PYTHONUNBUFFERED=1")
	out, err := server.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := server.Start(); err != nil {
		return 0, err
	}
	s := bufio.NewScanner(out)
	if !s.Scan() {
		return 0, fmt.Errorf("the Python server said nothing")
	}
	_, port, _ := strings.Cut(s.Text(), "127.0.0.1:")
	client := exec.CommandContext(ctx, b.py, "test/peers/v0_client.py", "--address", "127.0.0.1", "--port", strings.TrimSpace(port), "--warmup", "0", "--quiet",
		"-format", "jpeg", "-vidport", "1", "-seq")
	client.Env = append(os.Environ(), "PICAMERA_PACE=0", "PICAMERA_FRAMES="+filepath.Join(b.dir, "pictures"))
	if err := client.Start(); err != nil {
		return 0, err
	}
	for s.Scan() {
	}
	err = server.Wait()
	client.Wait() // ends with a reset when the server has its records
	if err != nil {
		return 0, err
	}
	text, err := os.ReadFile(filepath.Join(b.dir, "python.txt"))
	if err != nil {
		return 0, err
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	f := strings.Split(lines[len(lines)-1], ",")
	if len(lines) < 3 || len(f) != 3 {
		return 0, fmt.Errorf("summary %q", text)
	}
	frames, err1 := strconv.ParseFloat(strings.TrimSpace(f[0]), 64)
	seconds, err2 := strconv.ParseFloat(strings.TrimSpace(f[1]), 64)
	if err1 != nil || err2 != nil || seconds == 0 {
		return 0, fmt.Errorf("summary %q", text)
	}
	return frames / seconds, nil
}

// memory is the resident memory of both sides at 320x240, 30 fps, now and at its
// peak.
func (b *bench) memory(long bool) error {
	addr, err := freeAddr()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 12*time.Minute)
	defer cancel()
	sides := map[string]*exec.Cmd{
		"receive": exec.CommandContext(ctx, b.exe, "receive", "--listen", addr, "--http", "127.0.0.1:0", "--quiet"),
		"send":    exec.CommandContext(ctx, b.exe, "send", "--quiet", "--source", "pattern?noise=60", "-W", "320", "-H", "240", "--fps", "30", addr),
	}
	for _, c := range sides {
		if err := c.Start(); err != nil {
			return err
		}
		defer func() {
			c.Process.Signal(os.Interrupt)
			c.Wait()
		}()
	}
	steps, pause := 4, 5*time.Second
	if long {
		steps, pause = 10, time.Minute
	}
	for i := range steps {
		time.Sleep(pause)
		for _, side := range []string{"receive", "send"} {
			now, peak, err := rss(sides[side].Process.Pid)
			if err != nil {
				return err
			}
			fmt.Printf("BenchmarkMemory/side=%s/after=%v 1 %.1f rss-MB %.1f peak-rss-MB\n", side, time.Duration(i+1)*pause, now, peak)
		}
	}
	return nil
}

// rss reads a process's resident memory, in MB of 10^6 bytes.
func rss(pid int) (now, peak float64, err error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		kb, _ := strconv.ParseFloat(f[1], 64)
		switch f[0] {
		case "VmRSS:":
			now = kb * 1024 / 1e6
		case "VmHWM:":
			peak = kb * 1024 / 1e6
		}
	}
	return now, peak, nil
}

func freeAddr() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer ln.Close()
	return ln.Addr().String(), nil
}

package experiments

import (
	"bytes"
	"context"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/perf/benchfmt"

	"framepipe/experiment/result"
	"framepipe/internal/netem"
)

func TestWholeRunOnOneMachine(t *testing.T) {
	plan, dir := writePlan(t, smallPlan), filepath.Join(t.TempDir(), "out")
	out := must(t, "experiment", "run", plan, "--local", "--out", dir)
	contains(t, "the conclusion", out, "Best setting:", "framepipe send", "report.html")
	d := read(t, dir)
	complete(t, d)
	for _, r := range d.Rows {
		if strings.HasPrefix(r.Cell, "yuv") && r.MeanSize != 160*120*1.5 {
			t.Errorf("%s has frames of %.0f bytes", r.Cell, r.MeanSize)
		}
		if r.Latency == nil || r.Age == nil || r.Delivered == 0 {
			t.Errorf("%s has no latency, age or ledger: %+v", r.Cell, r)
		}
	}

	// What is shown is made from the raw files alone, the same to the byte.
	before := derived(t, dir)
	for name := range before {
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	must(t, "experiment", "report", dir)
	after := derived(t, dir)
	for name, b := range before {
		if !bytes.Equal(b, after[name]) {
			t.Errorf("%s is not the same when made again", name)
		}
	}
	if len(before) < 2+2*6+8 {
		t.Errorf("only %d derived files", len(before))
	}
	page := string(before["report.html"])
	contains(t, "the page", page, "<svg", "Best setting", "Manifest", "seed")
	if m := regexp.MustCompile(`(?:src|href|url)\s*[=(]\s*["']?(?:https?:)?//`).FindString(page); m != "" {
		t.Errorf("the page needs the network: %q", m)
	}

	// bench.txt is Go benchmark format.
	reader := benchfmt.NewReader(bytes.NewReader(before["bench.txt"]), "bench.txt")
	results := 0
	for reader.Scan() {
		switch r := reader.Result().(type) {
		case *benchfmt.SyntaxError:
			t.Error(r)
		case *benchfmt.Result:
			results++
			if v, ok := r.Value("fps"); !ok || v <= 0 {
				t.Errorf("%s has %v fps", r.Name, v)
			}
		}
	}
	if err := reader.Err(); err != nil || results != 16 {
		t.Errorf("bench.txt has %d results, error %v; want 16", results, err)
	}

	// The same experiment against itself is no regression.
	contains(t, "compare", must(t, "experiment", "compare", dir, dir, "--fail-if", "fps < -5%"), "no difference found")
	contains(t, "list", must(t, "experiment", "list", filepath.Dir(dir)), "small", "16 of 16")
	status, _, errs := run(t, "experiment", "run", plan, "--local", "--out", dir)
	if status != 2 {
		t.Errorf("a folder with results is overwritten: %d %s", status, errs)
	}
}

// derived reads everything in a folder that is made from the raw files.
func derived(t *testing.T, dir string) map[string][]byte {
	files := map[string][]byte{}
	for _, pattern := range []string{"report.html", "bench.txt", "summary-*.txt", "figures/*"} {
		names, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil || len(names) == 0 {
			t.Fatalf("no %s: %v", pattern, err)
		}
		for _, n := range names {
			b, err := os.ReadFile(n)
			if err != nil {
				t.Fatal(err)
			}
			rel, _ := filepath.Rel(dir, n)
			files[rel] = b
		}
	}
	return files
}

// Killed at random moments, again and again, the run goes on with the record that
// is missing, and what was there before is there after.
func TestKilledAtRandomAndResumed(t *testing.T) {
	plan, dir := writePlan(t, smallPlan), filepath.Join(t.TempDir(), "out")
	args := []string{"experiment", "run", plan, "--local", "--out", dir}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	var had []result.Row
	kills := 0
	for range 30 {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		cmd := exec.CommandContext(ctx, program, args...)
		var errs bytes.Buffer
		cmd.Stderr = &errs
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		var err error
		finished := false
		select {
		case err = <-ended:
			finished = true
		case <-time.After(time.Duration(300+rng.IntN(2500)) * time.Millisecond):
			if rng.IntN(4) == 0 {
				err = cmd.Process.Signal(os.Interrupt)
			} else {
				err = cmd.Process.Kill()
			}
			if err != nil {
				t.Fatal(err)
			}
			kills++
			<-ended
		}
		cancel()
		if finished && err != nil {
			t.Fatalf("%v\n%s", err, &errs)
		}
		if _, err := os.Stat(filepath.Join(dir, result.PlanFile)); err != nil {
			continue // killed before it began
		}
		d := read(t, dir)
		if len(d.Rows) < len(had) {
			t.Fatalf("%d records were there before the kill, %d are after", len(had), len(d.Rows))
		}
		for i, r := range had {
			if d.Rows[i].Cell != r.Cell || d.Rows[i].FPS != r.FPS || d.Rows[i].LogEnd != r.LogEnd {
				t.Fatalf("record %d changed: %+v and %+v", i, r, d.Rows[i])
			}
		}
		had = d.Rows
		if finished {
			complete(t, d)
			break
		}
		args = []string{"experiment", "run", "--local", "--resume", "--out", dir}
	}
	if len(had) != 16 || kills == 0 {
		t.Fatalf("%d records after %d kills", len(had), kills)
	}
	must(t, "experiment", "report", dir)
}

// port finds a free one.
func port(t *testing.T) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// Sender and receiver are separate processes; the sender dies in the middle of a
// visit and comes back: the visit is made again, and the report says so.
func TestCameraThatDisconnects(t *testing.T) {
	plan := writePlan(t, strings.Replace(smallPlan, "record-length: 300ms", "record-length: 700ms", 1))
	dir, addr := filepath.Join(t.TempDir(), "out"), port(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	exp := exec.CommandContext(ctx, program, "experiment", "run", plan, "--camera", "door", "--listen", addr, "--out", dir)
	var errs bytes.Buffer
	exp.Stderr = &errs
	if err := exp.Start(); err != nil {
		t.Fatal(err)
	}
	send := func() *exec.Cmd {
		s := exec.CommandContext(ctx, program, "send", "--source", "pattern", "--name", "door", addr)
		if err := s.Start(); err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := send()
	for { // until a record of the second visit is there
		if d, err := result.Read(dir); err == nil && len(d.Rows) >= 3 {
			break
		}
		if ctx.Err() != nil {
			t.Fatalf("no records came\n%s", &errs)
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err := s.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = s.Wait() // killed
	s = send()
	if err := exp.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, &errs)
	}
	if err := s.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = s.Wait() // killed
	d := read(t, dir)
	complete(t, d)
	broken := 0
	for _, v := range d.Visits {
		if v.Event == result.Broken {
			broken++
		}
	}
	if broken == 0 {
		t.Errorf("no visit is marked as broken off: %s", &errs)
	}
	page, err := os.ReadFile(filepath.Join(dir, "report.html"))
	if err != nil {
		t.Fatal(err)
	}
	contains(t, "the page", string(page), "was broken off and made again", "Out of the ordinary")
	if d.Manifest.Host == "" || len(d.Manifest.CameraSide) == 0 || d.Manifest.ReceiverSide.CPUs == 0 {
		t.Errorf("the manifest does not know both machines: %+v", d.Manifest)
	}
}

// The whole flow over a link of its own, with the processes in two namespaces.
func TestTwoNamespaces(t *testing.T) {
	link, ctx := overLink(t, "rate=35mbit,delay=2ms")
	dir := filepath.Join(t.TempDir(), "out")
	exp := link.Exec(ctx, netem.B, program, "experiment", "run", writePlan(t, smallPlan), "--listen", ":1308", "--out", dir)
	var errs bytes.Buffer
	exp.Stderr = &errs
	send := link.Exec(ctx, netem.A, program, "send", "--source", "pattern", link.B.Addr.String())
	if err := exp.Start(); err != nil {
		t.Fatal(err)
	}
	if err := send.Start(); err != nil {
		t.Fatal(err)
	}
	if err := exp.Wait(); err != nil {
		t.Errorf("%v\n%s", err, &errs)
	}
	if err := send.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = send.Wait() // killed
	complete(t, read(t, dir))
}

func TestLinkWithLocal(t *testing.T) {
	if err := netem.Possible(); err != nil {
		t.Skip(err)
	}
	dir := filepath.Join(t.TempDir(), "out")
	must(t, "experiment", "run", "origin-formats", "--local", "--link", "rate=35mbit,queue=1MB", "--records", "1", "--repeats", "1", "--record-length", "2s", "--out", dir)
	for _, r := range read(t, dir).Rows {
		// The link's limit for 230,400 B is 18.99 frames/s of payload alone.
		if r.Cell == "rgb" && (r.FPS < 15 || r.FPS > 20.5) {
			t.Errorf("rgb over 35 Mbit/s: %.1f fps", r.FPS)
		}
	}
}

// overLink carries packets between two namespaces, over a link of this spec, until
// the test ends; what it runs there ends with ctx.
func overLink(t *testing.T, spec string) (link *netem.Link, ctx context.Context) {
	t.Helper()
	if err := netem.Possible(); err != nil {
		t.Skip(err)
	}
	path, err := netem.ParseSpec(spec)
	if err != nil {
		t.Fatal(err)
	}
	if link, err = netem.New(netem.Symmetric(path)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	carried := make(chan error, 1)
	pumps, stop := context.WithCancel(context.Background())
	go func() { carried <- link.Run(pumps) }()
	t.Cleanup(func() {
		cancel()
		stop()
		if err := <-carried; err != nil {
			t.Error(err)
		}
		if err := link.Close(); err != nil {
			t.Error(err)
		}
	})
	return link, ctx
}

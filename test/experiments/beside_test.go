package experiments

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"mime/multipart"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"framepipe/internal/lab"
	"framepipe/internal/netem"
)

// spoken collects what a program says.
type spoken struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *spoken) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *spoken) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// until waits for words.
func (s *spoken) until(t *testing.T, pattern string) []string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if m := re.FindStringSubmatch(s.String()); m != nil {
			return m
		}
	}
	t.Fatalf("it never says %q:\n%s", pattern, s)
	return nil
}

// start starts the program, which is killed at the test's end.
func start(t *testing.T, args ...string) (*exec.Cmd, *spoken) {
	t.Helper()
	said := new(spoken)
	cmd := exec.Command(program, args...)
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()     // likewise
	})
	return cmd, said
}

// laboratory is a receiver with a camera, as separate programs.
type laboratory struct {
	*testing.T
	dir, listen, page string
	receive           *exec.Cmd
	said              *spoken
}

func newLaboratory(t *testing.T) *laboratory {
	l := &laboratory{T: t, dir: filepath.Join(t.TempDir(), "experiments"), listen: "127.0.0.1:0"}
	l.receiver("127.0.0.1:0")
	start(t, "send", "--source", "pattern?noise=5", "-W", "320", "-H", "240", "--name", "cam", l.listen)
	l.said.until(t, "camera connected")
	return l
}

func (l *laboratory) receiver(http string) {
	l.Helper()
	l.receive, l.said = start(l.T, "receive", "--listen", l.listen, "--http", http, "--experiments", l.dir)
	l.listen = l.said.until(l.T, `waiting for cameras on (\S+)`)[1]
	l.page = strings.TrimSuffix(l.said.until(l.T, `the page is at (\S+)`)[1], "/")
}

// ask asks the page and returns the status and what it says.
func (l *laboratory) ask(method, path, body string) (int, string) {
	l.Helper()
	req, err := http.NewRequestWithContext(l.Context(), method, l.page+path, strings.NewReader(body))
	if err != nil {
		l.Fatal(err)
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		l.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		l.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func (l *laboratory) experiment(method, path, body string) (st lab.Status) {
	l.Helper()
	code, text := l.ask(method, path, body)
	if code >= 300 {
		l.Fatalf("%s %s: %d %s", method, path, code, text)
	}
	if err := json.Unmarshal([]byte(text), &st); err != nil {
		l.Fatal(err)
	}
	return st
}

func (l *laboratory) until(id string, what func(lab.Status) bool) lab.Status {
	l.Helper()
	var st lab.Status
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if st = l.experiment("GET", "/experiments/"+id, ""); what(st) {
			return st
		}
	}
	l.Fatalf("it does not come to that: %+v", st)
	return st
}

func quoted(s string) string {
	b, _ := json.Marshal(s) // a string
	return string(b)
}

// same checks that two folders hold the same files with the same bytes.
func same(t *testing.T, a, b string) {
	t.Helper()
	count := 0
	for _, dir := range []string{a, b} {
		err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
			if err != nil || e.IsDir() {
				return err
			}
			rel, err := filepath.Rel(dir, path)
			if err != nil {
				return err
			}
			one, err := os.ReadFile(filepath.Join(a, rel))
			if err != nil {
				return err
			}
			two, err := os.ReadFile(filepath.Join(b, rel))
			if err != nil {
				return err
			}
			if !bytes.Equal(one, two) {
				t.Errorf("%s differs between %s and %s", rel, a, b)
			}
			count++
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
	if count < 20 {
		t.Errorf("only %d files", count)
	}
}

func onlyFolder(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Fatalf("%d folders in %s, %v", len(entries), dir, err)
	}
	return filepath.Join(dir, entries[0].Name())
}

// A receiver has the port; the command finds it, says so, and has it carry the
// experiment out, with the same lines and the same folder.
func TestBesideAReceiver(t *testing.T) {
	dir := t.TempDir()                                // goes after what runs in it has ended
	link, ctx := overLink(t, "rate=35mbit,delay=2ms") // the default ports are free in its namespaces
	at := func(side netem.Side, args ...string) (*exec.Cmd, *spoken) {
		cmd, said := link.Exec(ctx, side, program, args...), new(spoken)
		cmd.Stdout, cmd.Stderr, cmd.Dir = said, said, dir
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		return cmd, said
	}
	receive, heard := at(netem.B, "receive")
	heard.until(t, "the page is at")
	send, _ := at(netem.A, "send", "--source", "pattern", "--name", "cam", link.B.Addr.String())
	heard.until(t, "camera connected")
	run, said := at(netem.B, "experiment", "run", writePlan(t, smallPlan), "--camera", "cam", "--out", "out")
	if err := run.Wait(); err != nil {
		t.Errorf("%v\n%s", err, said)
	}
	contains(t, "the command", said.String(), "carried out by the receiver at http://127.0.0.1:8080", "4 settings, 8 visits", "[8/8]", "Best setting:", "Report: out/report.html")
	for _, cmd := range []*exec.Cmd{receive, send} {
		if err := cmd.Process.Kill(); err != nil {
			t.Error(err)
		}
		_ = cmd.Wait() // killed
	}
	complete(t, read(t, filepath.Join(dir, "out")))
	same(t, filepath.Join(dir, "out"), onlyFolder(t, filepath.Join(dir, "experiments")))
}

// Ctrl-C stops the experiment at the receiver and keeps what is there; --resume
// goes on, and so it does when the receiver was killed in between. A viewer sees
// the camera all the while, and the camera gets its settings back.
func TestBesideStoppedAndResumed(t *testing.T) {
	l := newLaboratory(t)
	frames, done := l.watch()
	out, plan := filepath.Join(t.TempDir(), "out"), writePlan(t, smallPlan)
	args := []string{"experiment", "run", plan, "--camera", "cam", "--receiver", l.page, "--out", out}
	cmd, said := start(t, args...)
	said.until(t, `\[2/8\] .* left`)
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("Ctrl-C: %v\n%s", err, said)
	}
	contains(t, "the command", said.String(), "stopped; what was measured is kept", "Report:")
	had := read(t, out).Rows
	if len(had) < 4 || len(had) >= 16 {
		t.Fatalf("%d records after Ctrl-C", len(had))
	}
	folder := onlyFolder(t, l.dir)
	id := filepath.Base(folder)
	if st := l.experiment("GET", "/experiments/"+id, ""); st.State != lab.Stopped || st.Records != len(had) || !st.Report {
		t.Errorf("%+v", st)
	}
	same(t, out, folder)

	if n := frames.Load(); n < 30 {
		t.Errorf("the viewer saw %d frames during the experiment", n)
	}
	done()

	// Going on, the receiver dies; another one goes on with the folder.
	args = []string{"experiment", "run", "--resume", "--camera", "cam", "--receiver", l.page, "--out", out}
	cmd, said = start(t, args...)
	said.until(t, `\[4/8\] .* left`)
	if err := l.receive.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = l.receive.Wait() // killed
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	l.receiver(strings.TrimPrefix(l.page, "http://"))
	l.said.until(t, "camera connected")
	must(t, args...)
	d := read(t, out)
	complete(t, d)
	for i, r := range had {
		if d.Rows[i].Began != r.Began || d.Rows[i].Frames != r.Frames {
			t.Errorf("record %d of before is not the same", i)
		}
	}
	same(t, out, folder)
	// Done is done: nothing is measured again.
	must(t, args...)
	if n := len(read(t, out).Rows); n != len(d.Rows) {
		t.Errorf("%d records, then %d", len(d.Rows), n)
	}
	var state struct {
		Camera struct {
			Width int    `json:"width"`
			Mode  string `json:"mode"`
		} `json:"state"`
	}
	if _, text := l.ask("GET", "/cameras/cam/state", ""); json.Unmarshal([]byte(text), &state) != nil || state.Camera.Mode != "sequence" {
		t.Errorf("the camera is left as %+v", state)
	}
}

// watch is a viewer of the stream; it counts frames until done is called.
func (l *laboratory) watch() (*atomic.Int64, func()) {
	l.Helper()
	ctx, cancel := context.WithCancel(l.Context())
	req, err := http.NewRequestWithContext(ctx, "GET", l.page+"/cameras/cam/stream", nil)
	if err != nil {
		l.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		l.Fatal(err)
	}
	_, boundary, _ := strings.Cut(resp.Header.Get("Content-Type"), "boundary=")
	frames := new(atomic.Int64)
	var wg sync.WaitGroup
	wg.Go(func() {
		defer resp.Body.Close()
		parts := multipart.NewReader(resp.Body, boundary)
		for {
			p, err := parts.NextPart()
			if err != nil {
				return
			}
			if _, err := io.Copy(io.Discard, p); err != nil {
				return
			}
			frames.Add(1)
		}
	})
	return frames, func() {
		cancel()
		wg.Wait()
	}
}

// The addresses: what they answer, what they refuse, in one line each.
func TestExperimentAddresses(t *testing.T) {
	l := newLaboratory(t)
	for _, tc := range []struct {
		what, method, path, body string
		status                   int
		says                     string
	}{
		{"list", "GET", "/experiments", "", 200, `"origin-formats"`},
		{"neither preset nor plan", "POST", "/experiments", `{"camera":"cam"}`, 400, "either a preset"},
		{"both", "POST", "/experiments", `{"preset":"latency","plan":"x"}`, 400, "either a preset"},
		{"no such preset", "POST", "/experiments", `{"preset":"nosuch"}`, 400, `no preset "nosuch"`},
		{"bad plan", "POST", "/experiments", `{"plan":"factors:\n  colour: [red]\n"}`, 400, "plan:2: unknown factor"},
		{"bad option", "POST", "/experiments", `{"preset":"latency","records":0}`, 400, "records 0: use 1 to"},
		{"bad length", "POST", "/experiments", `{"preset":"latency","record_length":"long"}`, 400, "write it as 10s"},
		{"simulated link", "POST", "/experiments", `{"plan":"link: rate=1mbit\nfixed: {mode: sequence}\n"}`, 400, "--local"},
		{"unknown field", "POST", "/experiments", `{"colour":"red"}`, 400, "colour"},
		{"not JSON", "POST", "/experiments", `preset=latency`, 400, "settings:"},
		{"too large", "POST", "/experiments", `{"plan":` + quoted(strings.Repeat("#", 70_000)) + `}`, 413, "65536 bytes"},
		{"no such camera", "POST", "/experiments", `{"camera":"nosuch","preset":"latency"}`, 404, "there is cam"},
		{"outline", "POST", "/experiments/check", `{"preset":"origin-formats","quick":true}`, 200, `"visits": 21`},
		{"outline of a bad plan", "POST", "/experiments/check", `{"plan":"records: 2"}`, 400, "the matrix is empty"},
		{"no such experiment", "GET", "/experiments/nosuch", "", 404, "no such experiment"},
		{"stop none", "POST", "/experiments/nosuch/stop", "{}", 404, "no such experiment"},
		{"resume none", "POST", "/experiments/nosuch/resume", "{}", 404, "no such experiment"},
		{"outside", "GET", "/experiments/..%2f..%2fetc/files/passwd", "", 404, "no such experiment"},
		{"zip of none", "GET", "/experiments/./folder.zip", "", 404, ""},
	} {
		t.Run(tc.what, func(t *testing.T) {
			status, text := l.ask(tc.method, tc.path, tc.body)
			if status != tc.status || !strings.Contains(text, tc.says) {
				t.Errorf("%d %s; want %d and %q", status, text, tc.status, tc.says)
			}
			if tc.status >= 400 && strings.Count(text, "\n") > 1 {
				t.Errorf("more than one line: %q", text)
			}
		})
	}
	if _, err := os.Stat(l.dir); err == nil {
		t.Error("a folder was made for nothing")
	}

	st := l.experiment("POST", "/experiments", `{"camera":"cam","plan":`+quoted(smallPlan)+`,"repeats":1}`)
	if st.State != lab.Running || st.Camera != "cam" || st.Planned != 8 {
		t.Errorf("%+v", st)
	}
	busy := map[string]string{"/experiments": `{"camera":"cam","preset":"latency"}`, "/cameras/cam/control": `{"quality":50}`}
	for path, body := range busy {
		if status, text := l.ask("POST", path, body); status != 409 || !strings.Contains(text, st.ID) {
			t.Errorf("%s during an experiment: %d %s", path, status, text)
		}
	}
	if _, text := l.ask("GET", "/cameras", ""); !strings.Contains(text, st.ID) {
		t.Errorf("/cameras does not tell of the experiment: %s", text)
	}
	if st := l.until(st.ID, func(st lab.Status) bool { return st.Records > 0 }); st.State == lab.Running && (st.Progress == nil || st.Progress.Visits != 4) {
		t.Errorf("%+v", st)
	}
	st = l.until(st.ID, func(st lab.Status) bool { return st.State != lab.Running })
	if st.State != lab.Done || st.Records != 8 || len(st.Findings) == 0 || st.Best == "" {
		t.Errorf("%+v", st)
	}
	for _, c := range st.Cells {
		if c.Visits != 1 || c.FPS < 5 || c.Bytes < 100 {
			t.Errorf("%+v", c)
		}
	}
	if status, text := l.ask("GET", "/experiments/"+st.ID+"/report.html", ""); status != 200 || !strings.Contains(text, "<svg") {
		t.Errorf("the report: %d, %d bytes", status, len(text))
	}
	for _, path := range []string{"files/figures/../../../x.txt", "files/..%2f..%2fx.txt", "files/nosuch.csv", "files/figures"} {
		if status, text := l.ask("GET", "/experiments/"+st.ID+"/"+path, ""); status != 404 {
			t.Errorf("%s: %d %s", path, status, text)
		}
	}
	folder := onlyFolder(t, l.dir)
	_, text := l.ask("GET", "/experiments/"+st.ID+"/folder.zip", "")
	z, err := zip.NewReader(strings.NewReader(text), int64(len(text)))
	if err != nil {
		t.Fatal(err)
	}
	unpacked := t.TempDir()
	if err := os.CopyFS(unpacked, z); err != nil {
		t.Fatal(err)
	}
	same(t, filepath.Join(unpacked, st.ID), folder)

	// What the camera cannot do is known before anything is measured.
	bad := l.experiment("POST", "/experiments", `{"plan":"factors: {control.nosuch: [1, 2]}\n"}`)
	bad = l.until(bad.ID, func(st lab.Status) bool { return st.State != lab.Running })
	if bad.State != lab.Failed || !bad.Refused || bad.Folder || !strings.Contains(bad.Cause, "cannot do cell") {
		t.Errorf("%+v", bad)
	}
	onlyFolder(t, l.dir)
	status, _, errs := run(t, "experiment", "run", writePlan(t, "factors: {control.nosuch: [1, 2]}\n"), "--receiver", l.page, "--out", filepath.Join(t.TempDir(), "out"))
	if status != 2 || !strings.Contains(errs, "the camera cannot do cell") || !strings.Contains(errs, "hint:") {
		t.Errorf("the command: %d %s", status, errs)
	}
}

// Without the right to change things nobody starts an experiment; with it, the
// command does.
func TestExperimentNeedsTheToken(t *testing.T) {
	const token = "a-long-enough-token-for-tests"
	_, said := start(t, "receive", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--state", t.TempDir(), "--token", token, "--experiments", t.TempDir())
	connect := said.until(t, `framepipe send (\S+)`)[1]
	page := strings.TrimSuffix(strings.Replace(said.until(t, `the page is at (\S+)`)[1], "https", "http", 1), "/")
	start(t, "send", "--source", "pattern", "--name", "cam", connect)
	said.until(t, "camera connected")
	plan := writePlan(t, "factors: {mode: [sequence]}\nrecords: 1\nrepeats: 1\nrecord-length: 300ms\n")
	for _, tc := range []struct {
		token  string
		status int
		says   string
	}{{"", 2, "asks for a token"}, {"wrong-but-long-enough-token", 2, "wrong token"}, {token, 0, ""}} {
		args := []string{"experiment", "run", plan, "--receiver", page, "--out", filepath.Join(t.TempDir(), "out")}
		if tc.token != "" {
			args = append(args, "--token", tc.token)
		}
		status, _, errs := run(t, args...)
		if status != tc.status || !strings.Contains(errs, tc.says) {
			t.Errorf("token %q: %d %s", tc.token, status, errs)
		}
	}
}

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/version"
	"io"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// govulncheck is pinned here: as a tool of the module it would raise the versions of
// modules that we share with it (golang.org/x/net, x/tools).
const govulncheck = "golang.org/x/vuln/cmd/govulncheck@v1.9.0"

// vulnDB holds the whole database of vuln.go.dev, one file of OSV an entry, as a module.
const vulnDB = "golang.org/x/vulndb"

// judged are known vulnerabilities in code that we call, by id, with the reason why they
// are none for us. Only ids that a person looked at; none is left at present.
var judged = map[string]string{}

// vulnerabilities looks for known ones in what we call and fails on each that is not
// judged. It asks the live database, or, where that is out of reach, its newest copy
// that the module proxy has, or the newest that was fetched before.
func (r *runner) vulnerabilities() {
	db, what, err := findVulnDB()
	if err != nil {
		r.omit("govulncheck", err.Error())
		return
	}
	start := time.Now()
	cmd := exec.Command("go", "run", govulncheck, "-format", "json", "-db", db, "./...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err == nil {
		err = r.judge(out, judged)
	}
	if err != nil {
		fmt.Fprintf(r.out, "FAIL\tgovulncheck, %s: %v\n%s", what, err, withNewline(stderr.Bytes()))
		r.fail("govulncheck")
		return
	}
	fmt.Fprintf(r.out, "ok  \tgovulncheck, %s\t%.1fs\n", what, time.Since(start).Seconds())
	r.passed++
}

// finding is what this needs of govulncheck's; see golang.org/x/vuln/internal/govulncheck.
type finding struct {
	OSV   string `json:"osv"`
	Fixed string `json:"fixed_version"`
	Trace []struct {
		Module, Version, Package, Function, Receiver string
		Position                                     *struct {
			Filename string
			Line     int
		}
	}
}

// calls says whether our code can reach it; others are only in a module that we need.
func (f *finding) calls() bool { return len(f.Trace) > 0 && f.Trace[0].Function != "" }

func (f *finding) String() string {
	at := f.Trace[0]
	s := fmt.Sprintf("%s in %s %s", f.OSV, at.Module, at.Version)
	if f.Fixed != "" {
		s += ", mended in " + f.Fixed
	}
	return s
}

// way is how our code comes there: from the last of the trace, which is ours.
func (f *finding) way() string {
	from, to := f.Trace[len(f.Trace)-1], f.Trace[0]
	s := fmt.Sprintf("%s.%s calls %s.%s", from.Package, from.Function, to.Package, to.Function)
	if from.Position != nil {
		s = fmt.Sprintf("%s:%d: %s", from.Position.Filename, from.Position.Line, s)
	}
	return s
}

// judge reads a report of govulncheck and returns an error that names what we call. What
// only this machine's older Go has is told, and no fault of what is released.
func (r *runner) judge(report []byte, judged map[string]string) error {
	called, beside, title, complete := map[string]*finding{}, map[string]*finding{}, map[string]string{}, false
	for d := json.NewDecoder(bytes.NewReader(report)); ; {
		var m struct {
			Config  *struct{}
			OSV     *struct{ ID, Summary string }
			Finding *finding
		}
		if err := d.Decode(&m); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return fmt.Errorf("its report: %w", err)
		}
		complete = complete || m.Config != nil
		switch f := m.Finding; {
		case m.OSV != nil:
			title[m.OSV.ID] = m.OSV.Summary
		case f == nil || len(f.Trace) == 0:
		case f.calls():
			called[f.OSV] = f
		default:
			beside[f.OSV] = f
		}
	}
	if !complete {
		return errors.New("it reported nothing")
	}
	var bad []string
	for _, id := range slices.Sorted(maps.Keys(called)) {
		if why, ok := judged[id]; ok {
			fmt.Fprintf(r.out, "     \t%s: judged: %s\n", called[id], why)
			continue
		}
		if f := called[id]; f.Trace[0].Module == "stdlib" && f.Fixed != "" && version.Compare("go"+strings.TrimPrefix(f.Fixed, "v"), r.goRelease) <= 0 {
			fmt.Fprintf(r.out, "     \t%s: not in what is released, which is made with %s; but this machine's Go should be renewed: %s\n", f, r.goRelease, title[id])
			continue
		}
		bad = append(bad, fmt.Sprintf("%s: %s\n\t%s", called[id], title[id], called[id].way()))
	}
	for _, id := range slices.Sorted(maps.Keys(beside)) {
		if called[id] == nil {
			fmt.Fprintf(r.out, "     \t%s, which we do not call: %s\n", beside[id], title[id])
		}
	}
	if len(bad) > 0 {
		return fmt.Errorf("our code reaches what is known to be vulnerable:\n%s", strings.Join(bad, "\n"))
	}
	return nil
}

// findVulnDB returns the address of the database and what it is, its date included.
func findVulnDB() (address, what string, err error) {
	const live = "https://vuln.go.dev"
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // it may have to be compiled, and a network may swallow everything
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "run", govulncheck, "-db", live, "-version")
	cmd.WaitDelay = time.Second
	said, _ := cmd.CombinedOutput()
	if date := regexp.MustCompile(`(?m)^DB updated: (\S+)`).FindSubmatch(said); date != nil {
		return live, fmt.Sprintf("database %s of %s", live, date[1]), nil
	}
	dir, of, where, err := vulnDBModule(ctx)
	if err != nil {
		return "", "", fmt.Errorf("no database: %s cannot be reached, and %w", live, err)
	}
	dir = filepath.ToSlash(filepath.Join(dir, "data", "osv"))
	return (&url.URL{Scheme: "file", Path: "/" + strings.TrimPrefix(dir, "/")}).String(), fmt.Sprintf("database %s of %s, %s (%s cannot be reached)", vulnDB, dateOf(of), where, live), nil
}

// vulnDBModule fetches the newest copy, or finds the newest that was.
func vulnDBModule(ctx context.Context) (dir, of, where string, err error) {
	var m struct{ Dir, Version, Error string }
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", vulnDB+"@latest")
	cmd.Dir = os.TempDir() // no business of our go.mod
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(out, &m)
	}
	if err == nil && m.Dir != "" {
		return m.Dir, m.Version, "the newest that the module proxy has", nil
	}
	cache, _ := exec.Command("go", "env", "GOMODCACHE").Output()
	old, _ := filepath.Glob(filepath.Join(strings.TrimSpace(string(cache)), filepath.FromSlash(vulnDB)+"@*"))
	if len(old) == 0 {
		return "", "", "", fmt.Errorf("the module proxy does not give %s", vulnDB)
	}
	dir = slices.Max(old) // pseudo-versions begin with their time
	_, of, _ = strings.Cut(filepath.Base(dir), "@")
	return dir, of, "fetched earlier, since the module proxy does not answer", nil
}

// dateOf is the day in a pseudo-version.
func dateOf(pseudo string) string {
	if m := regexp.MustCompile(`-(\d{4})(\d\d)(\d\d)\d{6}-`).FindStringSubmatch(pseudo); m != nil {
		return strings.Join(m[1:], "-")
	}
	return pseudo
}

package doctor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write testdata/*.want anew")

// machine is one testdata/NAME.txt; testdata/README.md says how it is written.
type machine struct {
	options Options
	system  *system
}

func load(t *testing.T, file string) machine {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	m := machine{system: &system{root: root}}
	owners := map[string]owner{}
	controls := map[string]map[string]int64{}
	m.options.Controls = func(dev string) (map[string]int64, error) {
		if c := controls[dev]; c != nil {
			return c, nil
		}
		return nil, errors.New("cannot be opened")
	}
	commands := map[string]string{}
	failing := map[string]bool{}
	m.system.sockets = func() error { return nil }
	m.system.set = func() (bool, error) { return false, errors.New("adjtimex: operation not permitted") }

	head, rest, _ := strings.Cut("\n"+string(text), "\n-- ")
	for _, line := range strings.Split(strings.TrimSpace(head), "\n") {
		f := strings.Fields(line)
		value := strings.TrimPrefix(line, f[0]+" ")
		switch f[0] {
		case "uid":
			m.system.id.uid = atoi(t, f[1], 10)
		case "groups":
			for _, g := range f[1:] {
				m.system.id.groups = append(m.system.id.groups, atoi(t, g, 10))
			}
		case "device":
			m.options.Device = value
		case "codec":
			m.options.Codec = value
		case "encode":
			d, err := time.ParseDuration(value)
			if err != nil {
				t.Fatal(err)
			}
			m.options.Encode = d
		case "control":
			dev, name := f[1], f[2]
			if controls[dev] == nil {
				controls[dev] = map[string]int64{}
			}
			controls[dev][name] = int64(atoi(t, f[3], 10))
		case "library":
			m.options.Library = true
		case "clock":
			m.system.set = func() (bool, error) { return value == "set", nil }
		case "sockets":
			m.system.sockets = func() error { return errors.New(value) }
		case "owner":
			owners[f[1]] = owner{mode: fs.FileMode(atoi(t, f[2], 8)), uid: atoi(t, f[3], 10), gid: atoi(t, f[4], 10)}
		default:
			t.Fatalf("%s: unknown line %q", file, line)
		}
	}
	for _, section := range strings.Split(rest, "\n-- ") {
		title, body, _ := strings.Cut(section, "\n")
		name, ok := strings.CutSuffix(title, " --")
		if !ok {
			continue // the empty piece of a machine without files
		}
		if command, ok := strings.CutPrefix(name, "$ "); ok {
			command, fails := strings.CutSuffix(command, " !")
			commands[command], failing[command] = body, fails
			continue
		}
		name, target, isLink := strings.Cut(name, " -> ")
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if isLink {
			err = os.Symlink(target, path)
		} else {
			err = os.WriteFile(path, []byte(body), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}

	m.system.owner = func(path string) (owner, error) {
		if o, ok := owners[path]; ok {
			return o, nil
		}
		return owner{}, fs.ErrNotExist
	}
	m.system.run = func(_ context.Context, name string, args ...string) (string, error) {
		command := strings.Join(append([]string{name}, args...), " ")
		out, ok := commands[command]
		if !ok {
			return "", errors.New("executable file not found in $PATH")
		}
		if failing[command] {
			return out, errors.New("exit status 1")
		}
		return out, nil
	}
	return m
}

func atoi(t *testing.T, s string, base int) int {
	t.Helper()
	n, err := strconv.ParseInt(s, base, 64)
	if err != nil {
		t.Fatal(err)
	}
	return int(n)
}

func TestMachines(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) < 9 {
		t.Fatalf("%d machines, %v", len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".txt")
		t.Run(name, func(t *testing.T) {
			m := load(t, file)
			var got bytes.Buffer
			if err := Render(&got, m.system.check(t.Context(), m.options)); err != nil {
				t.Fatal(err)
			}
			// The only thing that is not in the tree is what the test was built for.
			text := strings.ReplaceAll(got.String(), "built for "+runtime.GOARCH, "built for ARCH")
			golden := strings.TrimSuffix(file, ".txt") + ".want"
			if *update {
				if err := os.WriteFile(golden, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if text != string(want) {
				t.Errorf("got:\n%s\nwant:\n%s", text, want)
			}
		})
	}
}

// Every level must come from looking: a machine that tells nothing is never OK.
func TestNothingKnownIsNotFine(t *testing.T) {
	m := load(t, "testdata/nothing-known.txt")
	for _, f := range m.system.check(t.Context(), m.options) {
		if f.Level == OK && f.Check != "socket-options" { // the test says that these work
			t.Errorf("%+v", f)
		}
	}
}

// A source that is no device is no reason to look at nothing.
func TestDeviceThatIsNoPath(t *testing.T) {
	m := load(t, "testdata/pi3-usb-fine.txt")
	for _, device := range []string{"", "auto", "rpicam:0"} {
		if n := len(m.system.cameras(t.Context(), Options{Device: device})); n != 3 {
			t.Errorf("%q: %d findings about cameras, want 3", device, n)
		}
	}
	if n := len(m.system.cameras(t.Context(), Options{Device: "/dev/video0"})); n != 3 {
		t.Errorf("the device itself: %d findings", n)
	}
}

// On the machine of the test: nothing is asserted about it, but that every
// check answers, and in JSON as documented.
func TestThisMachine(t *testing.T) {
	findings := Run(t.Context(), Options{Codec: "x"})
	if len(findings) < 3 {
		t.Errorf("only %d findings", len(findings))
	}
	for _, f := range findings {
		if f.Check == "" || f.Text == "" || f.Level == "" {
			t.Errorf("incomplete: %+v", f)
		}
		if f.Level == Warn && f.Fix == "" && f.Check != "socket-options" {
			t.Errorf("a warning without a way to mend it: %+v", f)
		}
	}
	b, err := json.Marshal(Finding{Check: "a", Level: OK, Text: "b"})
	if err != nil || string(b) != `{"check":"a","level":"ok","text":"b"}` {
		t.Errorf("%s, %v", b, err)
	}
}

func TestMayOpen(t *testing.T) {
	device := owner{uid: 0, gid: 44, mode: 0o660}
	for name, c := range map[string]struct {
		id   identity
		o    owner
		want bool
	}{
		"root":               {identity{uid: 0}, device, true},
		"in the group":       {identity{uid: 1000, groups: []int{1000, 44}}, device, true},
		"not in the group":   {identity{uid: 1000, groups: []int{1000}}, device, false},
		"everybody may":      {identity{uid: 1000}, owner{mode: 0o666}, true},
		"group read only":    {identity{uid: 1000, groups: []int{44}}, owner{gid: 44, mode: 0o646}, false},
		"owner":              {identity{uid: 1000}, owner{uid: 1000, mode: 0o600}, true},
		"owner locked out":   {identity{uid: 1000}, owner{uid: 1000, mode: 0o066}, false},
		"read without write": {identity{uid: 1000}, owner{mode: 0o664}, false},
	} {
		if got := c.id.mayOpen(c.o); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestWorst(t *testing.T) {
	for _, c := range []struct {
		levels []Level
		want   Level
	}{
		{nil, OK}, {[]Level{OK, Unknown}, Unknown}, {[]Level{Info, Warn, OK}, Warn}, {[]Level{Fail, Warn}, Fail},
	} {
		var f []Finding
		for _, l := range c.levels {
			f = append(f, Finding{Level: l})
		}
		if got := Worst(f); got != c.want {
			t.Errorf("%v: %s, want %s", c.levels, got, c.want)
		}
	}
}

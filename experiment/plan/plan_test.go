package plan

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestBadPlans(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"empty", "", "the plan is empty"},
		{"no yaml", "a: [1", "p.yaml:1: "},
		{"unknown key", "factors: {mode: [sequence, continuous]}\nrecord: 3\n", `p.yaml:2: unknown key "record"`},
		{"unknown key below", "factors: {mode: [sequence]}\nstop:\n  precission: 1%\n", `p.yaml:3: unknown key "precission"`},
		{"unknown factor", "records: 1\nfactors:\n  colour: [red]\n", `p.yaml:3: unknown factor "colour"`},
		{"unknown level", "factors:\n  mode: [sequence]\n  format: [jpeg, png]\n", `p.yaml:3: unknown format "png"`},
		{"impossible level", "factors:\n  quality: [50, 101]\n", `p.yaml:2: quality "101": use 1 to 100`},
		{"size", "factors:\n  size: [320]\n", `p.yaml:2: size "320": write it as 640x480`},
		{"control", "factors:\n  control.gain: [low]\n", `p.yaml:2: control.gain "low": use a number`},
		{"policy", "fixed:\n  policy: fastest\n", `p.yaml:2: unknown policy "fastest"`},
		{"empty matrix", "records: 3\n", "the matrix is empty"},
		{"no levels", "factors:\n  mode: []\n", "p.yaml:2: the matrix is empty: factor mode has no levels"},
		{"null levels", "factors:\n  mode:\n", "p.yaml:2: the matrix is empty: factor mode has no levels"},
		{"one level as text", "factors:\n  mode: sequence\n", "p.yaml:2: factor mode must have a list of levels"},
		{"level twice", "factors:\n  quality: [50, 60, 50]\n", "p.yaml:2: factor quality has level 50 twice"},
		{"fixed and varied", "fixed: {mode: sequence}\nfactors:\n  mode: [sequence, continuous]\n", "p.yaml:3: mode is set twice"},
		{"size and width", "fixed: {width: 320}\nfactors:\n  size: [320x240]\n", "p.yaml:3: size is set twice"},
		{"too many", "factors:\n  quality: [1,2,3,4,5,6,7,8,9,10,11]\n  width: [1,2,3,4,5,6,7,8,9,10]\n  height: [1,2,3,4,5,6,7,8,9,10]\n", "1100 cells are more than the 1000"},
		{"records", "fixed: {mode: sequence}\nrecords: 0\n", "records 0: use 1 to"},
		{"not a number", "fixed: {mode: sequence}\nrecords: many\n", "p.yaml:2: "},
		{"length", "fixed: {mode: sequence}\nrecord-length: 10\n", `p.yaml:2: "10" is no duration`},
		{"short", "fixed: {mode: sequence}\nrecord-length: 1ms\n", "record-length 1ms: use 100ms to 1h"},
		{"stop contradicts", "fixed: {mode: sequence}\nrepeats: 5\nstop: {precision: 1%, min-repeats: 6}\n", "stop contradicts the plan: min-repeats 6 is more than repeats 5"},
		{"stop too soon", "fixed: {mode: sequence}\nstop: {after: 1s}\n", "stop contradicts the plan: after 1s not even one repeat"},
		{"stop without precision", "fixed: {mode: sequence}\nstop: {min-repeats: 3}\n", "there is no precision"},
		{"precision", "fixed: {mode: sequence}\nstop: {precision: 2}\n", "write it as 2%"},
		{"design", "fixed: {mode: sequence}\ndesign: random\n", `unknown design "random"`},
		{"unit", "fixed: {mode: sequence}\nunit: frame\n", `unknown unit "frame"`},
		{"link", "fixed: {mode: sequence}\nlink: speed=3\n", "speed: unknown"},
		{"two documents", "fixed: {mode: sequence}\n---\nfixed: {mode: continuous}\n", "more than one document"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Parse("p.yaml", []byte(tc.text))
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %q, want one line with %q", err, tc.want)
			}
		})
	}
}

func TestPresetsAndRoundTrip(t *testing.T) {
	want := []string{"latency", "origin", "origin-formats", "origin-modes", "origin-ports", "policies", "resolutions"}
	if got := Presets(); !slices.Equal(got, want) {
		t.Errorf("presets %v, want %v", got, want)
	}
	for _, name := range Presets() {
		full, _, err := Preset(name, false)
		if err != nil {
			t.Fatal(err)
		}
		quick, _, err := Preset(name, true)
		if err != nil || quick.Time() > full.Time()/5 || quick.Time() > 6*time.Minute {
			t.Errorf("%s: quick takes %v of %v, error %v", name, quick.Time(), full.Time(), err)
		}
		text, err := full.YAML()
		if err != nil {
			t.Fatal(err)
		}
		again, err := Parse(name, text)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if !reflect.DeepEqual(clean(full), clean(again)) {
			t.Errorf("%s is not the same after writing and reading:\n%+v\n%+v", name, full, again)
		}
	}
	p, _, _ := Preset("origin", false)
	if p.Records*p.Repeats != 100 || p.Length != 10*time.Second {
		t.Errorf("the origin has 100 records of 10 s, the preset %d of %v", p.Records*p.Repeats, p.Length)
	}
	var ids []string
	for _, c := range p.Cells() {
		ids = append(ids, c.ID)
	}
	if got := strings.Join(ids, " "); got != "sequence-video-jpeg continuous-video-jpeg sequence-still-jpeg sequence-video-yuv sequence-video-rgb" {
		t.Errorf("cells %s", got)
	}
}

// clean forgets line numbers.
func clean(p *Plan) *Plan {
	c := *p
	c.Fixed, c.Factors = slices.Clone(p.Fixed), slices.Clone(p.Factors)
	for i := range c.Fixed {
		c.Fixed[i].line = 0
	}
	for i := range c.Factors {
		c.Factors[i].line = 0
	}
	return &c
}

func TestOrder(t *testing.T) {
	p, _, _ := Preset("policies", false)
	order := p.Order()
	if !slices.Equal(order, p.Order()) {
		t.Error("the same seed gives another order")
	}
	n := len(p.Cells())
	first := map[int]int{}
	for r := range p.Repeats {
		seen := map[int]bool{}
		for _, v := range order[r*n : (r+1)*n] {
			if v.Repeat != r+1 || seen[v.Cell] {
				t.Fatalf("repeat %d does not visit every cell once: %v", r+1, order)
			}
			seen[v.Cell] = true
		}
		first[order[r*n].Cell]++
	}
	if len(first) < 3 {
		t.Errorf("the repeats begin with %v: that is hardly random", first)
	}
	p.Seed++
	if slices.Equal(order, p.Order()) {
		t.Error("another seed gives the same order")
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range Presets() {
		p, _, _ := Preset(name, false)
		text, _ := p.YAML()
		f.Add(text)
	}
	f.Add([]byte("factors:\n  size: [1x1, 2x2]\nstop: {after: 10h, precision: 1%}\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := Parse("p", text)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("%q is more than one line", err)
			}
			return
		}
		again, err := p.YAML()
		if err != nil {
			t.Fatal(err)
		}
		if q, err := Parse("q", again); err != nil || !reflect.DeepEqual(clean(p), clean(q)) {
			t.Errorf("%q becomes %q: %v", text, again, err)
		}
		for _, c := range p.Cells() {
			if _, err := c.Wire(); err != nil || strings.ContainsAny(c.ID, "/\\ ") {
				t.Errorf("cell %q: %v", c.ID, err)
			}
		}
	})
}

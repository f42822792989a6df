package plan

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// file is a plan as YAML.
type file struct {
	Name        string    `yaml:"name,omitempty"`
	Description string    `yaml:"description,omitempty"`
	Source      string    `yaml:"source,omitempty"`
	Fixed       settings  `yaml:"fixed,omitempty"`
	Factors     factors   `yaml:"factors,omitempty"`
	Design      Design    `yaml:"design,omitempty"`
	Records     *int      `yaml:"records,omitempty"`
	Length      *duration `yaml:"record-length,omitempty"`
	Repeats     *int      `yaml:"repeats,omitempty"`
	Warmup      *duration `yaml:"warmup,omitempty"`
	Pause       duration  `yaml:"pause,omitempty"`
	Seed        *uint64   `yaml:"seed,omitempty"`
	Link        string    `yaml:"link,omitempty"`
	Stop        stop      `yaml:"stop,omitempty"`
	Unit        Unit      `yaml:"unit,omitempty"`
	Quick       *quick    `yaml:"quick,omitempty"` // presets: what --quick changes
}

type stop struct {
	After      duration `yaml:"after,omitempty"`
	Precision  percent  `yaml:"precision,omitempty"`
	MinRepeats int      `yaml:"min-repeats,omitempty"`
}

type quick struct {
	Records int      `yaml:"records"`
	Length  duration `yaml:"record-length"`
	Repeats int      `yaml:"repeats"`
	Warmup  duration `yaml:"warmup"`
}

type duration time.Duration

func (d *duration) UnmarshalYAML(n *yaml.Node) error {
	v, err := time.ParseDuration(n.Value)
	if err != nil {
		return errorAt(n.Line, "%q is no duration: write it as 10s or 2m30s", n.Value)
	}
	*d = duration(v)
	return nil
}

func (d duration) MarshalYAML() (any, error) { return time.Duration(d).String(), nil }

type percent float64

func (p *percent) UnmarshalYAML(n *yaml.Node) error {
	digits, isPercent := strings.CutSuffix(n.Value, "%")
	v, err := strconv.ParseFloat(digits, 64)
	if err != nil {
		return errorAt(n.Line, "%q is no percentage: write it as 2%%", n.Value)
	}
	if isPercent {
		v /= 100
	}
	*p = percent(v)
	return nil
}

func (p percent) MarshalYAML() (any, error) {
	return strconv.FormatFloat(float64(p)*100, 'g', -1, 64) + "%", nil
}

// settings and factors keep the order in which they were written, which is the
// order of tables and figures.
type settings []Setting

func (s *settings) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.MappingNode {
		return errorAt(n.Line, "fixed must be a list of name: value")
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if v.Kind != yaml.ScalarNode {
			return errorAt(v.Line, "fixed %s must have one value; what has several is a factor", k.Value)
		}
		*s = append(*s, Setting{Name: k.Value, Value: v.Value, line: k.Line})
	}
	return nil
}

func (s settings) MarshalYAML() (any, error) {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for _, x := range s {
		n.Content = append(n.Content, scalar(x.Name), scalar(x.Value))
	}
	return n, nil
}

type factors []Factor

func (f *factors) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.MappingNode {
		return errorAt(n.Line, "factors must be a list of name: [level, level]")
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		x := Factor{Name: k.Value, line: k.Line}
		switch v.Kind {
		case yaml.SequenceNode:
			for _, l := range v.Content {
				if l.Kind != yaml.ScalarNode {
					return errorAt(l.Line, "factor %s: a level must be one value", k.Value)
				}
				x.Levels = append(x.Levels, l.Value)
			}
		case yaml.ScalarNode:
			if v.Tag == "!!null" {
				break
			}
			return errorAt(v.Line, "factor %s must have a list of levels: [%s, …]; what does not vary belongs to fixed", k.Value, v.Value)
		default:
			return errorAt(v.Line, "factor %s must have a list of levels", k.Value)
		}
		*f = append(*f, x)
	}
	return nil
}

func (f factors) MarshalYAML() (any, error) {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for _, x := range f {
		l := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for _, v := range x.Levels {
			l.Content = append(l.Content, scalar(v))
		}
		n.Content = append(n.Content, scalar(x.Name), l)
	}
	return n, nil
}

func scalar(v string) *yaml.Node {
	n := new(yaml.Node)
	n.SetString(v)
	return n
}

// Defaults of what a plan leaves out.
const (
	DefaultRecords = 2
	DefaultRepeats = 8
	DefaultLength  = 10 * time.Second
	DefaultWarmup  = time.Second
)

var (
	unknownKey = regexp.MustCompile(`^line (\d+): field (\S+) not found in type \S+$`)
	yamlLine   = regexp.MustCompile(`^(?:yaml: )?line (\d+): (.*)$`)
)

// Parse reads a plan; name is the file's, for messages. Its errors are *Error.
func Parse(name string, b []byte) (*Plan, error) {
	p, _, err := parse(b)
	if err == nil {
		err = p.Check()
	}
	if e, ok := errors.AsType[*Error](err); ok {
		e.File = name
		e.Msg = oneLine(e.Msg)
		return nil, e
	}
	if err != nil {
		return nil, &Error{File: name, Msg: oneLine(err.Error())}
	}
	return p, nil
}

// oneLine is for messages that quote what is in the file.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func parse(b []byte) (*Plan, *quick, error) {
	var f file
	d := yaml.NewDecoder(bytes.NewReader(b))
	d.KnownFields(true)
	if err := d.Decode(&f); err != nil {
		return nil, nil, translate(err)
	}
	if d.Decode(new(yaml.Node)) != io.EOF {
		return nil, nil, errorAt(0, "there is more than one document in the file")
	}
	p := &Plan{Name: f.Name, Description: f.Description, Source: f.Source, Fixed: f.Fixed, Factors: f.Factors, Design: f.Design,
		Records: DefaultRecords, Length: DefaultLength, Repeats: DefaultRepeats, Warmup: DefaultWarmup, Pause: time.Duration(f.Pause), Seed: 1,
		Stop: Stop{time.Duration(f.Stop.After), float64(f.Stop.Precision), f.Stop.MinRepeats}, Unit: f.Unit}
	if p.Design == "" {
		p.Design = Full
	}
	if p.Unit == "" {
		p.Unit = UnitAuto
	}
	if f.Link != "real" {
		p.Link = f.Link
	}
	if f.Records != nil {
		p.Records = *f.Records
	}
	if f.Repeats != nil {
		p.Repeats = *f.Repeats
	}
	if f.Length != nil {
		p.Length = time.Duration(*f.Length)
	}
	if f.Warmup != nil {
		p.Warmup = time.Duration(*f.Warmup)
	}
	if f.Seed != nil {
		p.Seed = *f.Seed
	}
	return p, f.Quick, nil
}

// translate makes one line for people of what the YAML library says.
func translate(err error) error {
	if errors.Is(err, io.EOF) {
		return errorAt(0, "the plan is empty")
	}
	if _, ok := errors.AsType[*Error](err); ok {
		return err
	}
	msg := err.Error()
	if e, ok := errors.AsType[*yaml.TypeError](err); ok && len(e.Errors) > 0 {
		msg = e.Errors[0]
		if m := unknownKey.FindStringSubmatch(msg); m != nil {
			line, _ := strconv.Atoi(m[1])
			return errorAt(line, "unknown key %q", m[2])
		}
	}
	if m := yamlLine.FindStringSubmatch(msg); m != nil {
		line, _ := strconv.Atoi(m[1])
		return errorAt(line, "%s", m[2])
	}
	return errorAt(0, "%s", strings.TrimPrefix(msg, "yaml: "))
}

// YAML writes the plan so that Parse reads the same one.
func (p *Plan) YAML() ([]byte, error) {
	length, warmup := duration(p.Length), duration(p.Warmup)
	f := file{Name: p.Name, Description: p.Description, Source: p.Source, Fixed: p.Fixed, Factors: p.Factors, Design: p.Design,
		Records: &p.Records, Length: &length, Repeats: &p.Repeats, Warmup: &warmup, Pause: duration(p.Pause), Seed: &p.Seed, Link: p.Link,
		Stop: stop{duration(p.Stop.After), percent(p.Stop.Precision), p.Stop.MinRepeats}, Unit: p.Unit}
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(f); err != nil {
		return nil, fmt.Errorf("plan: %w", err)
	}
	return b.Bytes(), e.Close()
}

//go:embed presets/*.yaml
var presets embed.FS

// Presets lists the names of the presets.
func Presets() []string {
	entries, _ := presets.ReadDir("presets") // of our own making
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".yaml"))
	}
	slices.Sort(names)
	return names
}

// Preset returns a preset. Quick ones are short, for a first look.
func Preset(name string, short bool) (*Plan, bool, error) {
	b, err := presets.ReadFile(path.Join("presets", name+".yaml"))
	if err != nil {
		return nil, false, nil
	}
	p, q, err := parse(b)
	if err != nil {
		return nil, true, fmt.Errorf("preset %s: %w", name, err)
	}
	if short && q != nil {
		p.Records, p.Length, p.Repeats, p.Warmup = q.Records, time.Duration(q.Length), q.Repeats, time.Duration(q.Warmup)
	}
	return p, true, p.Check()
}

// Quicken shortens a plan that is no preset: at most two records of two seconds
// in each of three repeats.
func (p *Plan) Quicken() {
	p.Records, p.Repeats = min(p.Records, 2), min(p.Repeats, 3)
	p.Length, p.Warmup = min(p.Length, 2*time.Second), min(p.Warmup, 500*time.Millisecond)
	p.Stop = Stop{}
	if p.Unit == UnitRepeat && p.Repeats < 2 {
		p.Unit = UnitAuto
	}
}

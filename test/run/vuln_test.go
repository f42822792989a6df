package main

import (
	"bytes"
	"strings"
	"testing"
)

// What is called is a failure, unless a person judged it or only this machine's Go has it.
func TestJudge(t *testing.T) {
	const config = `{"config":{"protocol_version":"v1.0.0"}}`
	entry := func(id, module, fixed, function string) string {
		return `{"osv":{"id":"` + id + `","summary":"something"}}
{"finding":{"osv":"` + id + `","fixed_version":"` + fixed + `","trace":[{"module":"` + module + `","version":"v1.0.0","package":"p","function":"` + function + `"},{"module":"framepipe","package":"framepipe/x","function":"F","position":{"filename":"x/f.go","line":7}}]}}
`
	}
	for name, c := range map[string]struct {
		report string
		judged map[string]string
		bad    []string // parts of the error; none = it passes
		said   string
	}{
		"nothing found":             {report: config},
		"no report":                 {report: "", bad: []string{"nothing"}},
		"half a report":             {report: config + `{"finding":{"osv":`, bad: []string{"report"}},
		"called":                    {report: config + entry("GO-1", "m", "v1.0.1", "G"), bad: []string{"GO-1", "v1.0.1", "something", "x/f.go:7"}},
		"called and never mended":   {report: config + entry("GO-1", "m", "", "G"), bad: []string{"GO-1"}},
		"judged":                    {report: config + entry("GO-1", "m", "v1.0.1", "G"), judged: map[string]string{"GO-1": "we only write"}, said: "we only write"},
		"another one judged":        {report: config + entry("GO-1", "m", "v1.0.1", "G"), judged: map[string]string{"GO-2": "we only write"}, bad: []string{"GO-1"}},
		"not called":                {report: config + entry("GO-1", "m", "v1.0.1", ""), said: "do not call"},
		"this machine's Go":         {report: config + entry("GO-1", "stdlib", "v1.26.3", "G"), said: "renewed"},
		"the release's Go too":      {report: config + entry("GO-1", "stdlib", "v1.26.4", "G"), bad: []string{"GO-1"}},
		"in Go, and never mended":   {report: config + entry("GO-1", "stdlib", "", "G"), bad: []string{"GO-1"}},
		"one of two is not ours":    {report: config + entry("GO-1", "stdlib", "v1.26.3", "G") + entry("GO-2", "m", "v2", "H"), bad: []string{"GO-2"}, said: "GO-1"},
		"not called here and there": {report: config + entry("GO-1", "m", "v1.0.1", "") + entry("GO-1", "m", "v1.0.1", "G"), bad: []string{"GO-1"}},
	} {
		var out bytes.Buffer
		r := &runner{out: &out, goRelease: "go1.26.3"}
		err := r.judge([]byte(c.report), c.judged)
		if (err != nil) != (c.bad != nil) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, part := range c.bad {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %q does not say %q", name, err, part)
			}
		}
		if !strings.Contains(out.String(), c.said) || c.said == "" && out.Len() > 0 {
			t.Errorf("%s: it says %q", name, &out)
		}
	}
}

func TestDateOf(t *testing.T) {
	if d := dateOf("v0.0.0-20261105234957-e22db6528018"); d != "2026-11-05" {
		t.Error(d)
	}
}

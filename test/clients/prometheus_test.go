package clients

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const operations = "../../docs/operations"

// A real Prometheus scrapes a receiver that asks for a token, over https, while a
// camera streams and is recorded: it takes what it gets, every rule and every query
// of the dashboard has a result, and a camera that goes takes its series along.
func TestPrometheus(t *testing.T) {
	need(t, "prometheus", "prometheus")
	need(t, "promtool", "prometheus")
	ranWith(t, "Prometheus", "operations.md", "promtool", "--version")
	const token = "a-token-of-twenty-letters"
	dir := t.TempDir()
	p := start(t, "--token", token, "--state", dir, "--max-cameras", "1", "--record", filepath.Join(dir, "door.mkv"))
	door := send(t, "--source", "pattern", "-W", "160", "-H", "120", "--name", "door", "--token", token, p.tcp)

	file := filepath.Join(dir, "metrics")
	run(t, "curl", "-s", "-k", "-f", "-H", "Authorization: Bearer "+token, "-o", file, p.page+"metrics")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	check := exec.Command("promtool", "check", "metrics")
	check.Stdin = bytes.NewReader(b)
	if out, err := check.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
	run(t, "promtool", "check", "rules", operations+"/alerts.yaml")

	m := monitor(t, dir, p.page, token)
	m.eventually(`framepipe_frames_total{camera="door",outcome="delivered"} > 30`)
	m.eventually(`changes(framepipe_frames_total{camera="door",outcome="delivered"}[10s]) > 1`)
	for _, q := range []string{
		`framepipe_frames_offered_total - on (camera) sum by (camera) (framepipe_frames_total) == 0 or vector(1)`,
		`framepipe_stream_info{format="jpeg",policy!="",codec!="",mode!=""}`,
		`framepipe_camera_info{wire="v1",software=~"framepipe .*"}`,
		`framepipe_frame_latency_seconds_count > 0 and framepipe_frame_latency_seconds_bucket{le="+Inf"} == framepipe_frame_latency_seconds_count or vector(1)`,
	} {
		m.eventually(q)
	}
	for title, queries := range dashboard(t) {
		for _, q := range queries {
			if strings.Contains(q, "framepipe_gate_bytes") { // exists from the first frame that the kernel held back
				q += " or vector(0)"
			}
			t.Run(title, func(t *testing.T) { m.with(t).eventually(q) })
		}
	}
	m.rules()

	door.stop()
	m.eventually(`framepipe_camera_connected{camera="door"} == 0`)
	m.eventually(`absent(framepipe_clock_error_bound_seconds{camera="door"}) and absent(framepipe_stream_info{camera="door"})`)
	m.eventually(`ALERTS{alertname="FramepipeCameraGone",camera="door"}`)
	send(t, "--source", "pattern", "-W", "160", "-H", "120", "--name", "roof", "--token", token, p.tcp)
	m.eventually(`framepipe_camera_connected{camera="roof"} == 1 and on () absent({camera="door",job="framepipe"})`)
}

// monitoring is a running Prometheus.
type monitoring struct {
	*testing.T
	at  string // http://…
	log *bytes.Buffer
}

func monitor(t *testing.T, dir, page, token string) *monitoring {
	t.Helper()
	rules, err := filepath.Abs(operations + "/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(page)
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(config, fmt.Appendf(nil, `
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [%q]
scrape_configs:
  - job_name: framepipe
    scheme: %s
    authorization: {credentials: %q}
    tls_config: {ca_file: %q}
    static_configs: [{targets: [%q]}]
`, rules, u.Scheme, token, filepath.Join(dir, "receiver.pem"), u.Host), 0o600); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0") // it cannot say which port it got
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	ln.Close()
	m := &monitoring{T: t, at: "http://" + addr, log: new(bytes.Buffer)}
	cmd := exec.Command("prometheus", "--config.file="+config, "--storage.tsdb.path="+filepath.Join(dir, "tsdb"), "--web.listen-address="+addr)
	cmd.Stdout, cmd.Stderr = m.log, m.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		cmd.Wait()
		if t.Failed() {
			t.Logf("prometheus:\n%s", m.log)
		}
	})
	return m
}

func (m *monitoring) with(t *testing.T) *monitoring { return &monitoring{t, m.at, m.log} }

func (m *monitoring) get(path string, v any) error {
	resp, err := http.Get(m.at + path)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode == http.StatusBadRequest {
		m.Fatalf("%s: %s", path, b)
	}
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s", resp.Status)
	}
	if err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}

// eventually waits until a query has a result.
func (m *monitoring) eventually(query string) {
	m.Helper()
	var last string
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		var got struct {
			Data struct{ Result json.RawMessage }
		}
		if err := m.get("/api/v1/query?query="+url.QueryEscape(query), &got); err != nil {
			last = err.Error()
			continue
		}
		if last = string(got.Data.Result); last != "[]" {
			return
		}
	}
	m.Errorf("%s: no result; last: %s", query, last)
}

// rules checks that every rule is evaluated without an error.
func (m *monitoring) rules() {
	m.Helper()
	type rule struct{ Name, Health, LastError string }
	for end := time.Now().Add(patience); ; time.Sleep(200 * time.Millisecond) {
		var got struct {
			Data struct{ Groups []struct{ Rules []rule } }
		}
		if err := m.get("/api/v1/rules", &got); err == nil && len(got.Data.Groups) > 0 {
			rules := got.Data.Groups[0].Rules
			if !slices.ContainsFunc(rules, func(r rule) bool { return r.Health != "ok" }) && len(rules) >= 10 {
				return
			}
			if time.Now().After(end) {
				m.Errorf("rules: %+v", rules)
				return
			}
		}
		if time.Now().After(end) {
			m.Error("Prometheus does not tell its rules")
			return
		}
	}
}

// dashboard lists the queries of each panel as Grafana would ask them.
func dashboard(t *testing.T) map[string][]string {
	t.Helper()
	b, err := os.ReadFile(operations + "/grafana.json")
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(b, &d); err != nil {
		t.Fatal(err)
	}
	all := map[string][]string{}
	for _, p := range d.Panels {
		for _, q := range p.Targets {
			all[p.Title] = append(all[p.Title], strings.NewReplacer("$camera", ".+", "$__rate_interval", "10s").Replace(q.Expr))
		}
	}
	if len(all) < 15 {
		t.Fatalf("%d panels", len(all))
	}
	return all
}

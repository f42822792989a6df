//go:build linux

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"framepipe/test/release"
)

// buildProgram builds framepipe into dir.
func buildProgram(dir string) (string, error) {
	out := filepath.Join(dir, "framepipe")
	return out, release.Build(out, "bus")
}

// process is a running framepipe.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}

	mu    sync.Mutex
	lines []string // guarded by mu; of standard error
}

func start(program string, args ...string) (*process, error) {
	p := &process{cmd: exec.Command(program, args...), done: make(chan struct{})}
	p.cmd.Stdout = io.Discard
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.done)
		for s := bufio.NewScanner(stderr); s.Scan(); {
			p.mu.Lock()
			p.lines = append(p.lines, s.Text())
			p.mu.Unlock()
		}
		p.cmd.Wait()
	}()
	return p, nil
}

func (p *process) said() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.lines, "\n")
}

// says waits for a line and returns what the pattern's last group holds.
func (p *process) says(pattern string) (string, error) {
	re := regexp.MustCompile(pattern)
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if m := re.FindStringSubmatch(p.said()); m != nil {
			return m[len(m)-1], nil
		}
	}
	return "", fmt.Errorf("it does not say %q, but:\n%s", pattern, p.said())
}

// stop ends it as Ctrl-C does.
func (p *process) stop() {
	p.cmd.Process.Signal(os.Interrupt)
	select {
	case <-p.done:
	case <-time.After(20 * time.Second):
		p.cmd.Process.Kill()
		<-p.done
	}
}

// cameraState is what a receiver says of a camera.
type cameraState struct {
	Name      string
	Connected bool
	Cause     string
	Wire      string
	Live      struct {
		Frames       int64
		FPS          float64
		Offered      uint64            `json:"total_offered"`
		Delivered    uint64            `json:"total_delivered"`
		Lost         map[string]uint64 `json:"total_lost"`
		Imbalance    int64             `json:"total_imbalance"`
		Age          *float64          `json:"age_ms"`
		TotalLatency *struct {
			P50 float64 `json:"p50_ms"`
			P99 float64 `json:"p99_ms"`
		} `json:"total_latency"`
	}
	Clock *struct {
		Error float64 `json:"error_ms"`
	}
}

func getJSON(url string, v any) error {
	resp, err := http.Get(url)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", url, resp.Status)
	}
	return json.NewDecoder(resp.Body).Decode(v)
}

// cameras lists a receiver's.
func cameras(page string) (map[string]cameraState, error) {
	var all []cameraState
	err := getJSON(page+"cameras", &all)
	found := map[string]cameraState{}
	for _, c := range all {
		found[c.Name] = c
	}
	return found, err
}

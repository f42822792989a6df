package experiments

import (
	"encoding/json"
	"os"
	"regexp"
	"strconv"
	"testing"
	"time"

	"framepipe/internal/doctor"
	"framepipe/internal/netem"
)

// The doctor measures the way to a receiver: over a slow link with a deep queue it
// finds the rate, the queue that ordinary programs fill, and that ours does not.
func TestDoctorMeasuresTheLink(t *testing.T) {
	link, ctx := overLink(t, "rate=35mbit,delay=5ms,queue=1MB")
	if err := link.Do(netem.A, func() error { // fills queues as most systems' cubic does, and every namespace may choose it
		return os.WriteFile("/proc/sys/net/ipv4/tcp_congestion_control", []byte("reno"), 0)
	}); err != nil {
		t.Fatal(err)
	}
	recv := link.Exec(ctx, netem.B, program, "receive", "--http", "", "--quiet")
	if err := recv.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		recv.Process.Kill()
		_ = recv.Wait() // killed
	}()
	time.Sleep(time.Second)
	out, err := link.Exec(ctx, netem.A, program, "doctor", "--json", link.B.Addr.String()).Output()
	if err != nil {
		t.Fatal(err)
	}
	var found []doctor.Finding
	if err := json.Unmarshal(out, &found); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	clock := -1.0
	for _, f := range found {
		if m := regexp.MustCompile(`about ±([\d.]+) ms, half the shortest`).FindStringSubmatch(f.Text); f.Check == "link-clock" && m != nil {
			clock, _ = strconv.ParseFloat(m[1], 64)
		}
	}
	if clock < 5 || clock > 15 {
		t.Errorf("clocks over a round trip of 10 ms: ±%v ms", clock)
	}
	for _, f := range found {
		if f.Check != "link" {
			continue
		}
		m := regexp.MustCompile(`([\d.]+) Mbit/s, round trip ([\d.]+) ms when idle; .* that ([\d.]+) ms in the way of ordinary programs \(reno\), ([\d.]+) ms in framepipe's \((\w+)\)`).FindStringSubmatch(f.Text)
		if m == nil {
			t.Fatalf("%+v", f)
		}
		n := make([]float64, 5)
		for i := 1; i < 5; i++ {
			n[i], _ = strconv.ParseFloat(m[i], 64)
		}
		if n[1] < 25 || n[1] > 36 || n[2] < 10 || n[2] > 30 || n[3] < 3*n[2] || n[4] > 0.7*n[3] {
			t.Errorf("of a link of 35 Mbit/s, 10 ms and a queue of 230 ms it says: %s", f.Text)
		}
		t.Log(f.Text)
		return
	}
	t.Errorf("nothing about the link: %s", out)
}

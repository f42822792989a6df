//go:build linux

package main

import (
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// patient gives up on a receiver that does not answer: it answers within 10 s.
var patient = http.Client{Timeout: patience}

// With --bus-replicas 3, what is kept outlives the server that is in charge of it.
func TestKeptFramesOutliveAServer(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	studio, _, tcp := r.receive("studio", "--bus-keep", "1m", "--bus-replicas", "3")
	_, hall, _ := r.receive("hall", "--from-bus", "*")
	r.start("send", "--source", "pattern", "-W", "160", "-H", "120", "--fps", "10", "--name", "door", tcp)
	r.says(studio, "the bus keeps frames")
	c := r.until(hall, "studio.door", "there", func(c cameraState) bool { return c.Live.Delivered > 20 })

	nc, err := nats.Connect(r.urls(), nats.MaxReconnects(-1))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	leader := ""
	for end := time.Now().Add(patience); leader == ""; time.Sleep(100 * time.Millisecond) {
		s, err := js.Stream(t.Context(), "framepipe-studio")
		if err == nil {
			if i := s.CachedInfo(); i.Config.Replicas != 3 {
				t.Fatalf("the stream has %d replicas", i.Config.Replicas)
			} else if i.Cluster != nil && len(i.Cluster.Replicas) == 2 && i.State.Msgs > 20 {
				leader = i.Cluster.Leader
			}
		}
		if time.Now().After(end) {
			t.Fatalf("the stream has no leader: %v", err)
		}
	}
	n, err := strconv.Atoi(leader[1:]) // n0, n1, n2
	if err != nil {
		t.Fatal(err)
	}
	before := time.Now()
	if !r.kill(r.servers[n].url) {
		t.Fatalf("no server %s", leader)
	}
	r.until(hall, "studio.door", "going on", func(n cameraState) bool { return n.Live.Delivered > c.Live.Delivered+30 })
	var last string
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		ago := time.Since(before) + time.Second
		resp, err := patient.Get(fmt.Sprintf("%scameras/studio.door/snapshot?ago=%dms", hall, ago.Milliseconds()))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		taken, err := strconv.ParseFloat(resp.Header.Get("X-Timestamp"), 64)
		last = fmt.Sprint(resp.Status, " ", taken, " ", err)
		if resp.StatusCode == http.StatusOK && err == nil {
			if at := time.UnixMicro(int64(taken * 1e6)); !at.Before(before) {
				t.Errorf("the oldest frame is of %v after the server's death", at.Sub(before))
			}
			return
		}
	}
	t.Fatalf("no frame of the time before: %s", last)
}

package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"framepipe/test/sheet"
)

// small measures what matters on small machines: the program's size, how soon the
// first frame is out, what a receiver costs that nobody uses, and how often the
// garbage collector runs while frames do.
func (b *bench) small(reps int) error {
	fmt.Println("Unit MB better=lower\nUnit start-ms better=lower\nUnit idle-% better=lower\nUnit gc-runs/min better=lower")
	fi, err := os.Stat(b.exe)
	if err != nil {
		return err
	}
	fmt.Printf("BenchmarkSmall/what=binary 1 %.1f MB\n", float64(fi.Size())/1e6)
	var starts []float64
	for range max(reps, 5) {
		d, err := b.start()
		if err != nil {
			return fmt.Errorf("start: %w", err)
		}
		starts = append(starts, d.Seconds()*1e3)
		fmt.Printf("BenchmarkSmall/what=start-to-first-frame 1 %.1f start-ms\n", d.Seconds()*1e3)
	}
	share, resident, err := b.idle()
	if err != nil {
		return fmt.Errorf("idle: %w", err)
	}
	fmt.Printf("BenchmarkSmall/what=idle-receiver 1 %.4f idle-%% %.1f rss-MB\n", 100*share, resident)
	runs, pause, err := b.collections()
	if err != nil {
		return fmt.Errorf("collections: %w", err)
	}
	fmt.Printf("BenchmarkSmall/what=receiver,640x480,30fps 1 %.1f gc-runs/min %.3f longest-gc-pause-ms\n", runs, pause)
	fmt.Printf("# start to first frame: median %.1f ms of %d, of which up to 33 are the synthetic camera's first interval\n", sheet.Median(starts), len(starts))
	return nil
}

// start is the time from starting `send` to the first byte of the first frame.
func (b *bench) start() (time.Duration, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer ln.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	send := exec.CommandContext(ctx, b.exe, "send", "--quiet", "--wire", "v0", "--source", "pattern", "--warmup", "0s", "--fps", "30", ln.Addr().String())
	began := time.Now()
	if err := send.Start(); err != nil {
		return 0, err
	}
	defer func() {
		send.Process.Kill()
		send.Wait()
	}()
	ln.(*net.TCPListener).SetDeadline(time.Now().Add(15 * time.Second))
	conn, err := ln.Accept()
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	conn.SetReadDeadline(time.Now().Add(15 * time.Second))
	_, err = conn.Read(make([]byte, 1))
	return time.Since(began), err
}

// idle is the share of one core that a receiver uses without cameras or viewers,
// and its resident memory.
func (b *bench) idle() (share, resident float64, err error) {
	recv := exec.Command(b.exe, "receive", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--quiet")
	if err := recv.Start(); err != nil {
		return 0, 0, err
	}
	defer func() {
		recv.Process.Signal(os.Interrupt)
		recv.Wait()
	}()
	time.Sleep(3 * time.Second)
	const length = 30 * time.Second
	used := threadsCPU(recv.Process.Pid)
	time.Sleep(length)
	used = threadsCPU(recv.Process.Pid) - used
	resident, _, err = rss(recv.Process.Pid)
	return used.Seconds() / length.Seconds(), resident, err
}

// collections is how often the receiver's collector runs in a minute of 640x480 at
// 30 fps, and the longest time for which it stopped the program (gctrace,
// package runtime). The first seconds, in which buffers are made, are left out.
func (b *bench) collections() (perMinute, longest float64, err error) {
	addr, err := freeAddr()
	if err != nil {
		return 0, 0, err
	}
	var said bytes.Buffer
	recv := exec.Command(b.exe, "receive", "--listen", addr, "--http", "127.0.0.1:0", "--quiet")
	recv.Env = append(os.Environ(), "GODEBUG=gctrace=1")
	recv.Stderr = &said
	if err := recv.Start(); err != nil {
		return 0, 0, err
	}
	send := exec.Command(b.exe, "send", "--quiet", "--source", "pattern?noise=40", "-W", "640", "-H", "480", "--fps", "30", addr)
	if err := send.Start(); err != nil {
		return 0, 0, err
	}
	const settle, length = 5 * time.Second, 60 * time.Second
	time.Sleep(settle + length)
	for _, c := range []*exec.Cmd{send, recv} {
		c.Process.Signal(os.Interrupt)
		c.Wait()
	}
	// gc 4 @0.123s 0%: 0.011+0.50+0.004 ms clock, … : the first and the third are pauses.
	for line := range strings.Lines(said.String()) {
		f := strings.Fields(line)
		if len(f) < 5 || f[0] != "gc" {
			continue
		}
		at, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimPrefix(f[2], "@"), "s"), 64)
		if err != nil || at < settle.Seconds() {
			continue
		}
		perMinute++
		parts := strings.Split(f[4], "+")
		for _, i := range []int{0, len(parts) - 1} {
			if ms, err := strconv.ParseFloat(parts[i], 64); err == nil {
				longest = max(longest, ms)
			}
		}
	}
	return perMinute / length.Minutes(), longest, nil
}

// threadsCPU is what all threads of a process have used (sched-stats.rst).
func threadsCPU(pid int) time.Duration {
	var sum time.Duration
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // the thread ended
		}
		first, _, _ := strings.Cut(string(b), " ")
		ns, _ := strconv.ParseInt(first, 10, 64)
		sum += time.Duration(ns)
	}
	return sum
}

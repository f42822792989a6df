package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// sink is the least that taking frames can cost: it reads a length and that many
// bytes into one buffer, and counts. It is run in a process of its own.
func sink() error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(ln.Addr())
	conn, err := ln.Accept()
	if err != nil {
		return err
	}
	defer conn.Close()
	var head [4]byte
	buf := make([]byte, 1<<20)
	const length = 2 * time.Second // warm-up, and what is measured
	began, n := time.Now(), 0
	for warm := true; ; n++ {
		if _, err := io.ReadFull(conn, head[:]); err != nil {
			return err
		}
		size := int(binary.LittleEndian.Uint32(head[:]))
		if size > len(buf) {
			return fmt.Errorf("a frame of %d bytes", size)
		}
		if _, err := io.ReadFull(conn, buf[:size]); err != nil {
			return err
		}
		if passed := time.Since(began); passed >= length {
			if !warm {
				fmt.Println(float64(n+1) / passed.Seconds())
				return nil
			}
			warm, began, n = false, time.Now(), 0
		}
	}
}

// pour is the least that sending frames can cost: one buffer of a length and so many
// bytes, written whole again and again. What it reaches into sink is what the kernel's
// copying leaves anybody.
func pour(addr string, size int) error {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	buf := make([]byte, 4+size)
	binary.LittleEndian.PutUint32(buf, uint32(size))
	for began := time.Now(); time.Since(began) < time.Minute; {
		if _, err := conn.Write(buf); err != nil {
			return nil // the sink has seen enough
		}
	}
	return nil
}

// bare is the frame rate of our sender to a bare sink.
func (b *bench) bare() (float64, error) {
	return intoSink(func(ctx context.Context, _, addr string) *exec.Cmd {
		return exec.CommandContext(ctx, b.exe, "send", "--quiet", "--source", "replay:"+filepath.Join(b.dir, "frames.mjpeg")+"?rate=max&loop=1", "--policy", "block", "--wire", "v0", addr)
	})
}

// floor is the frame rate of what does nothing but write and read.
func (b *bench) floor(size int) (float64, error) {
	return intoSink(func(ctx context.Context, self, addr string) *exec.Cmd {
		return exec.CommandContext(ctx, self, "-pour", addr, "-size", strconv.Itoa(size))
	})
}

// intoSink is the frame rate of a sender to a bare sink. The sender is told its address,
// and the path of this program.
func intoSink(command func(ctx context.Context, self, addr string) *exec.Cmd) (float64, error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	s := exec.CommandContext(ctx, self, "-sink")
	out, err := s.StdoutPipe()
	if err != nil {
		return 0, err
	}
	if err := s.Start(); err != nil {
		return 0, err
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		return 0, fmt.Errorf("the sink said nothing")
	}
	sender := command(ctx, self, lines.Text())
	if err := sender.Start(); err != nil {
		return 0, err
	}
	var fps float64
	if lines.Scan() {
		fps, err = strconv.ParseFloat(strings.TrimSpace(lines.Text()), 64)
	}
	if e := s.Wait(); err == nil {
		err = e
	}
	sender.Process.Signal(os.Interrupt)
	sender.Wait()
	return fps, err
}

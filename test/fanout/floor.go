//go:build linux

package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"framepipe/internal/rawio"
)

// floor is the least that serving MJPEG can cost: header and frame are written to one
// viewer after another from a timer, with one system call each that Go's scheduler is
// not told of. It reads no camera, parses nothing, measures nothing, and drops who is
// slow. (One that sleeps in the kernel instead, with nanosleep, is dearer.)
func floor(addr, jpegFile string, fps float64) error {
	jpg, err := os.ReadFile(jpegFile)
	if err != nil {
		return err
	}
	jpg = stamped(jpg)
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	joined := make(chan int, 4096)
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			b := make([]byte, 4096)
			if _, err := c.Read(b); err != nil {
				c.Close()
				continue
			}
			fmt.Fprintf(c, "HTTP/1.1 %d OK\r\nContent-Type: multipart/x-mixed-replace; boundary=b\r\n\r\n", http.StatusOK)
			f, err := c.(*net.TCPConn).File() // its own descriptor, which Go's poller leaves alone
			if err != nil {
				c.Close()
				continue
			}
			fd, err := unix.Dup(int(f.Fd()))
			f.Close()
			c.Close()
			if err != nil {
				continue
			}
			unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 4<<20)
			unix.SetNonblock(fd, true)
			joined <- fd
		}
	}()
	fmt.Println("ready")
	var fds []int
	var head bytes.Buffer
	var parts [2]unix.Iovec
	timer, err := every(time.Duration(float64(time.Second) / fps))
	if err != nil {
		return err
	}
	for {
		if _, err := timer.Read(make([]byte, 8)); err != nil {
			return err
		}
		for len(joined) > 0 {
			fds = append(fds, <-joined)
		}
		head.Reset()
		setStamp(jpg, time.Now())
		fmt.Fprintf(&head, "--b\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\nX-Timestamp: %s\r\n\r\n",
			len(jpg), strconv.FormatFloat(float64(time.Now().UnixMicro())/1e6, 'f', 6, 64))
		for i, b := range [...][]byte{head.Bytes(), jpg} {
			parts[i].Base = unsafe.SliceData(b)
			parts[i].SetLen(len(b))
		}
		kept := fds[:0]
		for _, fd := range fds {
			n, _, e := unix.RawSyscall(unix.SYS_WRITEV, uintptr(fd), uintptr(unsafe.Pointer(&parts[0])), uintptr(len(parts)))
			if e != 0 || int(n) < head.Len()+len(jpg) {
				unix.Close(fd)
				continue
			}
			kept = append(kept, fd)
		}
		fds = kept
	}
}

// every is a timer of the kernel, which can be read each time that it goes off. Go's own
// wakes the program twice, because its poller counts milliseconds.
func every(d time.Duration) (io.Reader, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	at := unix.NsecToTimespec(int64(d))
	if err := unix.TimerfdSettime(fd, 0, &unix.ItimerSpec{Interval: at, Value: at}, nil); err != nil {
		return nil, err
	}
	return rawio.NewReader(os.NewFile(uintptr(fd), "timerfd")), nil
}

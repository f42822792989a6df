//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// seen is what a process full of viewers reports about the time it was asked for.
type seen struct {
	Frames   int
	Least    int // frames that the worst-served viewer got
	Seconds  float64
	P50, P99 float64 // ms, capture stamp to the frame's last byte
	Failed   string
}

// viewers opens n streams, round robin over addrs and paths, waits until each has
// its first frame, says so on standard output, and then counts for d.
func viewers(n int, targets []string, d time.Duration) error {
	var wg sync.WaitGroup
	type result struct {
		latency []float32
		err     error
	}
	results := make([]result, n)
	var first sync.WaitGroup
	first.Add(n)
	begin := make(chan struct{})
	var from, to time.Time
	for i := range n {
		wg.Go(func() {
			once := sync.OnceFunc(first.Done)
			defer once()
			v, err := dial(targets[i%len(targets)])
			if err != nil {
				results[i].err = err
				return
			}
			defer v.conn.Close()
			counting := false
			for {
				late, err := v.frame()
				if err != nil {
					results[i].err = err
					return
				}
				once()
				if !counting {
					select {
					case <-begin:
						counting = true
					default:
						continue
					}
				}
				if time.Now().After(to) {
					return
				}
				results[i].latency = append(results[i].latency, float32(late.Seconds()*1000))
			}
		})
		if i%50 == 49 {
			time.Sleep(20 * time.Millisecond) // all at once would overflow the listener's backlog
		}
	}
	first.Wait()
	time.Sleep(500 * time.Millisecond)
	from = time.Now()
	to = from.Add(d)
	close(begin)
	fmt.Println("ready")
	wg.Wait()
	s := seen{Seconds: d.Seconds(), Least: -1}
	var all []float32
	for _, r := range results {
		if r.err != nil {
			s.Failed = r.err.Error()
		}
		all = append(all, r.latency...)
		if s.Least < 0 || len(r.latency) < s.Least {
			s.Least = len(r.latency)
		}
	}
	s.Frames = len(all)
	if len(all) > 0 {
		slices.Sort(all)
		s.P50, s.P99 = float64(all[len(all)/2]), float64(all[len(all)*99/100])
	}
	return json.NewEncoder(os.Stdout).Encode(s)
}

// viewer reads one multipart stream. Payloads are discarded in the kernel
// (MSG_TRUNC, tcp(7)), so that the viewers leave the processor to the server.
type viewer struct {
	conn net.Conn
	raw  syscall.RawConn
	buf  []byte // read and not yet used
	mem  [4096]byte
}

func dial(target string) (*viewer, error) {
	host, path, _ := strings.Cut(target, "/")
	c, err := net.Dial("tcp", host)
	if err != nil {
		return nil, err
	}
	v := &viewer{conn: c}
	if v.raw, err = c.(*net.TCPConn).SyscallConn(); err != nil {
		return nil, err
	}
	if _, err := fmt.Fprintf(c, "GET /%s HTTP/1.1\r\nHost: %s\r\n\r\n", path, host); err != nil {
		return nil, err
	}
	h, err := v.headers()
	if err == nil && !bytes.Contains(h, []byte(" 200 ")) {
		err = fmt.Errorf("%s answers %q", target, h)
	}
	return v, err
}

// frame reads a part and returns how old its picture was when its last byte came.
func (v *viewer) frame() (time.Duration, error) {
	v.conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	h, err := v.headers()
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(string(bytes.TrimSpace(field(h, "Content-Length:"))))
	if err != nil {
		return 0, fmt.Errorf("part without a length: %q", h)
	}
	for len(v.buf) < min(n, stampSize) {
		k := copy(v.mem[:], v.buf)
		m, err := v.conn.Read(v.mem[k : k+256])
		if m == 0 && err != nil {
			return 0, err
		}
		v.buf = v.mem[:k+m]
	}
	at, err := readStamp(v.buf)
	if err != nil {
		return 0, err
	}
	if err := v.discard(n); err != nil {
		return 0, err
	}
	return time.Duration(time.Now().UnixNano() - at), nil
}

func field(h []byte, name string) []byte {
	_, rest, _ := bytes.Cut(h, []byte(name))
	value, _, _ := bytes.Cut(rest, []byte("\r\n"))
	return value
}

// headers returns what comes before the next empty line.
func (v *viewer) headers() ([]byte, error) {
	for {
		v.buf = bytes.TrimLeft(v.buf, "\r\n")
		if i := bytes.Index(v.buf, []byte("\r\n\r\n")); i >= 0 {
			h := v.buf[:i+2]
			v.buf = v.buf[i+4:]
			return h, nil
		}
		k := copy(v.mem[:], v.buf)
		if k == len(v.mem) {
			return nil, errors.New("headers longer than 4 KiB")
		}
		n, err := v.conn.Read(v.mem[k:min(len(v.mem), k+256)])
		if n == 0 && err != nil {
			return nil, err
		}
		v.buf = v.mem[:k+n]
	}
}

func (v *viewer) discard(n int) error {
	k := min(n, len(v.buf))
	v.buf, n = v.buf[k:], n-k
	for n > 0 {
		var got int
		var failed error
		err := v.raw.Read(func(fd uintptr) bool {
			r, _, e := unix.Syscall6(unix.SYS_RECVFROM, fd, 0, uintptr(n), unix.MSG_TRUNC, 0, 0)
			if e == unix.EAGAIN {
				return false
			}
			got = int(r)
			if e != 0 {
				failed, got = e, 0
			}
			return true
		})
		if err = errors.Join(err, failed); err != nil {
			return err
		}
		if got == 0 {
			return io.ErrUnexpectedEOF
		}
		n -= got
	}
	return nil
}

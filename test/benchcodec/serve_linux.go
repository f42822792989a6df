package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"framepipe/camera"
	"framepipe/capture"
	"framepipe/frame"
	"framepipe/internal/web"
	"framepipe/mjpeg"
	"framepipe/stream"
	"framepipe/test/preload"
)

// What a whole program needs to serve a raw camera to one viewer: capture,
// conversion, compression and network, of all its threads. Ours is the capture
// loop, the receiver and the web server of `framepipe receive --source`, in a
// process of its own; its camera hands out the same bytes in memory as that which
// is preloaded into ustreamer, and neither copies them.

const (
	serveWork          = "serve yuyv 1280x720, 30 fps, one viewer"
	serveW, serveH     = 1280, 720
	serveFPS           = 30
	serveFrames        = 8
	serveFor           = 3 * time.Second
	serveFrameBytes    = serveW * serveH * 2
	serveStartsWithin  = 20 * time.Second
	serveSkipsAtFirst  = 15 // frames
	serveLeastDelivery = 0.5
)

func (b *bench) serving() error {
	raw := filepath.Join(b.dir, "frames.yuyv")
	f, err := scene(frame.YUYV, serveW, serveH)
	if err != nil {
		return err
	}
	var all []byte
	for i := range serveFrames { // it moves to the left
		for y := range serveH {
			row := f.Data[y*serveW*2:][:serveW*2]
			all = append(append(all, row[i*32:]...), row[:i*32]...)
		}
	}
	if err := os.WriteFile(raw, all, 0o600); err != nil {
		return err
	}
	codecs := []string{"go"}
	if _, err := mjpeg.Choose("turbo"); err == nil {
		codecs = append(codecs, "turbo")
	}
	for _, codec := range codecs {
		b.add(serveWork, "framepipe, "+codec, "whole process", func() (time.Duration, error) {
			addr, err := freeAddr()
			if err != nil {
				return 0, err
			}
			cmd := exec.Command(os.Args[0], "-serve", addr, raw)
			cmd.Env = append(os.Environ(), "FRAMEPIPE_JPEG="+codec)
			return served(cmd, addr, "/stream")
		})
	}
	for _, peer := range []struct{ by, path string }{{"ustreamer", "ustreamer"}, {"ustreamer of PEER_USTREAMER", os.Getenv("PEER_USTREAMER")}} {
		if peer.path == "" {
			continue
		}
		path, err := exec.LookPath(peer.path)
		if err != nil {
			b.missing = append(b.missing, peer.by+": "+err.Error())
			continue
		}
		lib, err := preload.Build(b.dir)
		if err != nil {
			b.missing = append(b.missing, peer.by+": its camera cannot be built: "+err.Error())
			continue
		}
		version, err := exec.Command(path, "--version").Output()
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		device := filepath.Join(b.dir, "video0")
		if err := os.WriteFile(device, nil, 0o600); err != nil {
			return err
		}
		by := peer.by + " " + strings.TrimSpace(string(version))
		b.add(serveWork, by, "whole process", func() (time.Duration, error) {
			addr, err := freeAddr()
			if err != nil {
				return 0, err
			}
			host, port, _ := net.SplitHostPort(addr)
			cmd := exec.Command(path, "--device", device, "--format", "yuyv", "--resolution", fmt.Sprintf("%dx%d", serveW, serveH),
				"--desired-fps", strconv.Itoa(serveFPS), "--quality", strconv.Itoa(quality), "--host", host, "--port", port)
			cmd.Env = (&preload.Camera{Frames: raw, Width: serveW, Height: serveH, FPS: serveFPS}).Environment(lib, device)
			return served(cmd, addr, "/stream")
		})
	}
	return nil
}

func freeAddr() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer ln.Close()
	return ln.Addr().String(), nil
}

// served starts a server, looks at its stream, and returns the processor time that
// it used per frame delivered.
func served(cmd *exec.Cmd, addr, path string) (time.Duration, error) {
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	defer func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
	}()
	d, err := watch(cmd.Process.Pid, addr, path)
	if err != nil {
		cmd.Process.Kill()
		cmd.Wait()
		return 0, fmt.Errorf("%w; it said: %s", err, said.String())
	}
	return d, nil
}

func watch(pid int, addr, path string) (time.Duration, error) {
	var conn net.Conn
	var err error
	for end := time.Now().Add(serveStartsWithin); ; time.Sleep(20 * time.Millisecond) {
		if conn, err = net.Dial("tcp", addr); err == nil {
			break
		}
		if time.Now().After(end) {
			return 0, err
		}
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(serveStartsWithin + serveFor))
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, addr); err != nil {
		return 0, err
	}
	in := bufio.NewReaderSize(conn, 1<<20)
	picture := func() error {
		size := 0
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return err
			}
			if name, v, ok := strings.Cut(line, ":"); ok && strings.EqualFold(name, "content-length") {
				if size, err = strconv.Atoi(strings.TrimSpace(v)); err != nil {
					return err
				}
			}
			if size > 0 && strings.TrimSpace(line) == "" {
				_, err := io.CopyN(io.Discard, in, int64(size))
				return err
			}
		}
	}
	for range serveSkipsAtFirst {
		if err := picture(); err != nil {
			return 0, err
		}
	}
	used, began, n := threadsCPU(pid), time.Now(), 0
	for ; time.Since(began) < serveFor; n++ {
		if err := picture(); err != nil {
			return 0, err
		}
	}
	used = threadsCPU(pid) - used
	if most := time.Since(began).Seconds() * serveFPS; float64(n) < serveLeastDelivery*most {
		return 0, fmt.Errorf("%d frames of %.0f were delivered: the machine is too busy for this to say anything", n, most)
	}
	return used / time.Duration(n), nil
}

// threadsCPU is what all threads of a process have used, by the scheduler's own
// account, in nanoseconds (Documentation/scheduler/sched-stats.rst).
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

// serve is our side, in a process of its own, until it is ended.
func serve(addr, file string) error {
	all, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	recv := stream.NewReceiver(stream.ReceiverConfig{})
	sink, _, err := recv.Local("camera")
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: web.New(web.Config{Cameras: recv, Quality: quality})}
	go server.Serve(ln) // to the process's end
	loop := camera.New(camera.Config{Source: "memory", Capture: capture.Config{Format: frame.JPEG, Quality: quality},
		Open: func(context.Context, string, capture.Config) (capture.Camera, error) {
			return &memory{all: all, start: time.Now()}, nil
		}})
	return loop.Run(context.Background(), sink)
}

// memory is a camera whose frames lie there already.
type memory struct {
	all   []byte
	start time.Time
	n     uint64
	gaps  uint64
}

func (m *memory) Next(context.Context) (*frame.Frame, error) {
	period := time.Second / serveFPS
	next := max(m.n+1, uint64(time.Since(m.start)/period))
	m.gaps += next - m.n - 1
	m.n = next
	at := m.start.Add(time.Duration(next) * period)
	time.Sleep(time.Until(at))
	f := frame.New(m.all[int(next)%serveFrames*serveFrameBytes:][:serveFrameBytes], nil)
	f.Format, f.Width, f.Height, f.Stride = frame.YUYV, serveW, serveH, 2*serveW
	f.Seq, f.StampKind, f.Counts.Offered = next, frame.StampTick, next
	f.Counts.Lost[frame.LostGap] = m.gaps
	f.Dequeued = frame.SenderNow()
	f.Captured = f.Dequeued - frame.SenderTime(time.Since(at))
	return f, nil
}

func (*memory) Info() capture.Info {
	return capture.Info{Source: "memory", Name: "frames in memory", Width: serveW, Height: serveH, FPS: serveFPS, Format: frame.YUYV.Word(), Mode: "sequence", Port: "video", StampKind: frame.StampTick.String()}
}

func (*memory) Controls() ([]capture.Control, error) { return nil, nil }
func (*memory) SetControl(string, int64) (int64, error) {
	return 0, errors.New("this camera has no controls")
}
func (*memory) Close() error { return nil }

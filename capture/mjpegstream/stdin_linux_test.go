package mjpegstream

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"framepipe/capture"
)

// Standard input is shared with other processes, as the shell that started us: its mode
// stays what it is, and a pipe whose writer has gone ends after the last picture.
func TestStandardInputStaysBlocking(t *testing.T) {
	pics := jpegs(t, 3)
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	in, out := os.NewFile(uintptr(p[0]), "stdin"), os.NewFile(uintptr(p[1]), "writer")
	defer in.Close()
	if own := reopen(in); own == nil {
		t.Skip("the pipe cannot be opened again here; the poll is tested elsewhere")
	} else {
		own.Close()
	}
	for _, b := range pics {
		if _, err := out.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	out.Close()
	c, err := openFile(in, "-", capture.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	settle(t, c, uint64(len(pics)))
	if f, err := c.Next(t.Context()); err != nil || f.Seq != uint64(len(pics)) {
		t.Errorf("%v, %v", f, err)
	} else {
		f.Release()
	}
	if _, err := c.Next(t.Context()); err == nil {
		t.Error("it does not end")
	}
	flags, err := unix.FcntlInt(uintptr(p[0]), unix.F_GETFL, 0)
	if err != nil || flags&unix.O_NONBLOCK != 0 {
		t.Errorf("flags %#x, %v", flags, err)
	}
}

// Closing ends a read that waits, however standard input is read.
func TestCloseEndsAReadOfStandardInput(t *testing.T) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	in, out := os.NewFile(uintptr(p[0]), "stdin"), os.NewFile(uintptr(p[1]), "writer")
	defer in.Close()
	defer out.Close()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	sock, other := os.NewFile(uintptr(pair[0]), "stdin"), os.NewFile(uintptr(pair[1]), "writer")
	defer sock.Close()
	defer other.Close()
	for what, f := range map[string]*os.File{"pipe": in, "socket, which cannot be opened again": sock} {
		c, err := openFile(f, "-", capture.Config{})
		if err != nil {
			t.Fatal(err)
		}
		closed := make(chan error, 1)
		go func() { closed <- c.Close() }()
		select {
		case err := <-closed:
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%s: Close waits", what)
		}
	}
}

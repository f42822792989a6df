package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"framepipe/internal/secure"
	"framepipe/test/release"
)

// sealed is the size of the frames whose encryption is counted, that of the other
// measurements here.
const sealed = 69_600

// discards is a connection whose writes go nowhere once it is told so.
type discards struct {
	net.Conn
	on bool
}

func (d *discards) Write(b []byte) (int, error) {
	if d.on {
		return len(b), nil
	}
	return d.Conn.Write(b)
}

// seal encrypts n frames as a sender does, on a connection that was made with a
// receiver of this process, and says with which cipher.
func seal(n int) error {
	dir, err := os.MkdirTemp("", "framepipe-seal-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	cert, err := secure.KeepCertificate(dir)
	if err != nil {
		return err
	}
	here, there := net.Pipe()
	served := make(chan error, 1)
	go func() { served <- tls.Server(there, secure.ServerConfig(cert, nil)).Handshake() }()
	out := &discards{Conn: here}
	c := tls.Client(out, secure.ClientConfig("receiver", nil, nil, nil))
	if err := errors.Join(c.Handshake(), <-served); err != nil {
		return err
	}
	out.on = true
	picture := make([]byte, sealed)
	for range n {
		if _, err := c.Write(picture); err != nil {
			return err
		}
	}
	fmt.Println("cipher", tls.CipherSuiteName(c.ConnectionState().CipherSuite))
	return nil
}

// instructions counts what it costs to encrypt a frame on an arm64 processor, in
// instructions, which an emulator can count where it cannot tell time: on one with AES
// instructions, and on one without, as in a Raspberry Pi 3, which is given ChaCha20.
// It takes some minutes.
func instructions() error {
	const emulator = "qemu-aarch64-static"
	dir, err := os.MkdirTemp("", "framepipe-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	exe := filepath.Join(dir, "bench")
	build := exec.Command("go", append(append([]string{"build"}, release.Flags()...), "-o", exe, "./test/bench")...)
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=arm64")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build: %w: %s", err, out)
	}
	fmt.Println("Unit instructions/frame better=lower\nUnit instructions/byte better=lower")
	for _, m := range []struct{ name, env string }{{"aes=yes", "GODEBUG="}, {"aes=no", "GODEBUG=cpu.aes=off"}} {
		var count [2]float64
		var cipher string
		const few, many = 2, 42 // handshakes differ by a million
		for i, n := range []int{few, many} {
			if count[i], cipher, err = counted(emulator, m.env, exe, n); err != nil {
				return fmt.Errorf("%s: %w", m.name, err)
			}
		}
		each := (count[1] - count[0]) / (many - few)
		fmt.Printf("BenchmarkSealArm64/%s/cipher=%s 1 %.0f instructions/frame %.2f instructions/byte\n", m.name, cipher, each, each/sealed)
	}
	return nil
}

// counted runs seal under an emulator that tells of each instruction it executes.
func counted(emulator, env, exe string, n int) (instructions float64, cipher string, err error) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	cmd := exec.CommandContext(ctx, emulator, "-singlestep", "-d", "exec,nochain", exe, "-seal", fmt.Sprint(n))
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1", "GOGC=off", "GODEBUG=asyncpreemptoff=1,"+strings.TrimPrefix(env, "GODEBUG="))
	var out bytes.Buffer
	cmd.Stdout = &out
	trace, err := cmd.StderrPipe()
	if err != nil {
		return 0, "", err
	}
	if err := cmd.Start(); err != nil {
		return 0, "", fmt.Errorf("%w (apt-get install qemu-user-static)", err)
	}
	for in := bufio.NewReaderSize(trace, 1<<20); ; {
		line, err := in.ReadSlice('\n')
		if err != nil {
			break
		}
		if bytes.HasPrefix(line, []byte("Trace ")) {
			instructions++
		}
	}
	if err := cmd.Wait(); err != nil {
		return 0, "", err
	}
	_, cipher, ok := strings.Cut(strings.TrimSpace(out.String()), "cipher ")
	if !ok || instructions < sealed {
		return 0, "", fmt.Errorf("%.0f instructions, and it says %q", instructions, out.String())
	}
	return instructions, cipher, nil
}

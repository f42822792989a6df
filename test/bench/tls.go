package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"framepipe/test/sheet"
)

// encryption measures what TLS costs: frames per second of one unpaced connection, and
// processor time of both sides per frame, in the clear, with the cipher that this
// machine chooses, and with the one that a sender without AES instructions (a
// Raspberry Pi 3) chooses, which GODEBUG makes it take itself for.
func (b *bench) encryption(reps int) error {
	fmt.Println("Unit frames/s better=higher\nUnit cpu-us/frame better=lower")
	token := filepath.Join(b.dir, "token")
	if err := os.WriteFile(token, []byte("a-token-for-this-measurement\n"), 0o600); err != nil {
		return err
	}
	fps, cpu := map[string][]float64{}, map[string][]float64{}
	names := []string{"off", "this-machine", "no-aes"}
	ciphers := map[string]string{}
	for range reps {
		for _, name := range names {
			f, c, cipher, err := b.encrypted(name, token)
			if err != nil {
				return fmt.Errorf("tls=%s: %w", name, err)
			}
			fps[name], cpu[name], ciphers[name] = append(fps[name], f), append(cpu[name], c), cipher
			fmt.Printf("BenchmarkTLS/sender=%s/cipher=%s 1 %.0f frames/s %.2f cpu-us/frame\n", name, cipher, f, c)
		}
	}
	for _, name := range names[1:] {
		fmt.Printf("# %s: %.2f x the frames/s of the clear, %.1f us more of processor time a frame on both sides together (medians of %d interleaved runs)\n",
			ciphers[name], sheet.Median(fps[name])/sheet.Median(fps["off"]), sheet.Median(cpu[name])-sheet.Median(cpu["off"]), reps)
	}
	return nil
}

func (b *bench) encrypted(name, token string) (fps, cpu float64, cipher string, err error) {
	addr, err := freeAddr()
	if err != nil {
		return 0, 0, "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var more []string
	if name != "off" {
		more = []string{"--token-file", token}
	}
	recv := exec.CommandContext(ctx, b.exe, append([]string{"receive", "--listen", addr, "--http", "", "--json", "--records", "2", "--record-length", "2s", "--state", filepath.Join(b.dir, "state")}, more...)...)
	said := new(strings.Builder)
	recv.Stderr = said
	out, err := recv.StdoutPipe()
	if err != nil {
		return 0, 0, "", err
	}
	if err := recv.Start(); err != nil {
		return 0, 0, "", err
	}
	args := append([]string{"send", "--quiet", "--source", "replay:" + filepath.Join(b.dir, "frames.mjpeg") + "?rate=max&loop=1", "--policy", "block"}, more...)
	send := exec.CommandContext(ctx, b.exe, append(args, addr)...)
	send.Env = os.Environ()
	if name == "no-aes" {
		send.Env = append(send.Env, "GODEBUG=cpu.aes=off")
	}
	if err := send.Start(); err != nil {
		return 0, 0, "", err
	}
	frames := 0.0
	for s := bufio.NewScanner(out); s.Scan(); {
		var r record
		if err := json.Unmarshal(s.Bytes(), &r); err != nil {
			return 0, 0, "", err
		}
		frames, fps = frames+float64(r.Frames), r.FPS
	}
	err = recv.Wait()
	send.Process.Signal(os.Interrupt)
	send.Wait()
	if err != nil || frames == 0 {
		return 0, 0, "", fmt.Errorf("%.0f frames, %w: %s", frames, err, said)
	}
	for _, c := range []*exec.Cmd{recv, send} {
		cpu += float64((c.ProcessState.UserTime() + c.ProcessState.SystemTime()).Microseconds())
	}
	cipher = "none"
	if _, after, ok := strings.Cut(said.String(), "cipher "); ok {
		cipher, _, _ = strings.Cut(strings.TrimSpace(after), ",")
		cipher, _, _ = strings.Cut(cipher, "\n")
	}
	return fps, cpu / frames, cipher, nil
}

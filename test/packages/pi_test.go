//go:build packages && linux

package packages

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"image"
	"image/jpeg"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"framepipe/test/browser/drive"
	"framepipe/test/vm/bench"
)

// board is what a Debian needs beside ours to be booted with a kernel of its own:
// udev gives devices to their groups, kmod loads modules.
var board = []string{"udev", "kmod"}

// boots is how long the emulated Pi may take for one: on two cores it takes one.
const boots = 10 * time.Minute

// TestPi3 boots a clean Debian on an emulated Raspberry Pi 3, from its card, with
// Debian's own kernel, and uses the arm64 package there as a person would: dpkg -i,
// both services enabled, the picture of a camera, the same after a reboot. The camera
// is the kernel's vivid driver behind /dev/video0.
func TestPi3(t *testing.T) {
	if runtime.GOARCH == "arm64" {
		t.Skip("needs another processor than ARM")
	}
	need(t, "qemu-system-aarch64", "qemu-system-arm")
	need(t, "mkfs.ext4", "e2fsprogs")
	emulate(t, "aarch64")
	r := newRoot(t, "arm64", board...)
	browser := drive.Chromium(t)
	web := unused(t)
	began := time.Now()
	m, err := bench.Start(t.Context(), bench.Config{Arch: "arm64", Boot: boots, Web: web, Card: r.card(build(t, "0.1.0", "linux-arm64", "arm64")),
		Files: map[string]string{"/bin/agent": filepath.Join(r.dir, agentPath)}})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	p := &pi{t, m}
	defer func() {
		if t.Failed() {
			t.Logf("the machine's console:\n%s", m.Console())
		}
	}()
	p.booted("booted", began)
	if model := p.do("cat", "/proc/device-tree/model"); !strings.Contains(model, "Raspberry Pi 3 Model B") {
		t.Errorf("it is a %s", model)
	}

	p.do("dpkg", "-i", "/srv/framepipe.deb")
	p.do("sh", "-c", "echo FRAMEPIPE_RECEIVE_HTTP=:8080 >>/etc/default/framepipe-receive")
	p.do("systemctl", "enable", "--now", "framepipe-receive", "framepipe-send@video0")
	p.works("installed")
	p.shown(browser, web, "installed-page")
	first := p.do("cat", "/proc/sys/kernel/random/boot_id")

	began = time.Now()
	if err := m.Reboot(t.Context(), boots); err != nil {
		t.Fatal(err)
	}
	p.booted("rebooted", began)
	if p.do("cat", "/proc/sys/kernel/random/boot_id") == first {
		t.Error("it is the same boot")
	}
	p.works("rebooted")
	p.shown(browser, web, "rebooted-page")
	// What the package puts beside the program is for the next boot, which this is.
	if out := p.do("cat", "/proc/sys/net/ipv4/tcp_allowed_congestion_control"); !strings.Contains(out, "bbr") {
		t.Errorf("programs may choose %s", out)
	}
	if state := string(p.get("rebooted", "/cameras/pi/state")); !strings.Contains(state, `"congestion": "bbr"`) {
		t.Errorf("the camera's state: %s", state)
	}
}

const agentPath = "/usr/local/sbin/agent"

// card makes the image of an SD card from a root: with the package to install, what
// this kernel needs of its modules, a camera, and the service that we talk to.
func (r *root) card(deb string) string {
	r.Helper()
	r.copy(deb, "/srv/framepipe.deb")
	agent := filepath.Join(r.TempDir(), "agent")
	if err := bench.Build(agent, "arm64", "framepipe/test/vm/agent", false); err != nil {
		r.Fatal(err)
	}
	r.copy(agent, agentPath)
	r.write("/etc/systemd/system/agent.service", []byte("[Service]\nExecStart="+agentPath+"\nStandardOutput=journal\n[Install]\nWantedBy=multi-user.target\n"))
	r.in("systemctl", "enable", "agent.service")
	r.in("systemctl", "mask", "serial-getty@ttyS1.service", "getty@tty1.service", "systemd-timesyncd.service", "apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer", "fstrim.timer")
	version, err := bench.InstallModules("arm64", r.dir, "vivid", "tcp_bbr", "bcm2835_wdt", "dwc2", "phy_generic", "cdc_ether", "rndis_host")
	if err != nil {
		r.Fatal(err)
	}
	r.in("depmod", version)
	r.write("/etc/modules-load.d/camera.conf", []byte("vivid\n"))
	r.write("/etc/modprobe.d/camera.conf", []byte("options vivid n_devs=1 node_types=0x1 num_inputs=1 input_types=0x0\n"))
	r.write("/etc/default/framepipe-send-video0", []byte("FRAMEPIPE_SEND_NAME=pi\nFRAMEPIPE_SEND_WIDTH=320\nFRAMEPIPE_SEND_HEIGHT=180\n"))
	r.write("/etc/systemd/network/usb.network", []byte("[Match]\nName=!lo\n[Network]\nAddress=10.0.2.15/24\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n"))
	r.in("systemctl", "enable", "systemd-networkd.service")
	r.write("/etc/fstab", []byte("/dev/mmcblk0 / ext4 defaults 0 0\n"))
	card := filepath.Join(r.TempDir(), "card.img")
	run(r.T, "mkfs.ext4", "-q", "-d", r.dir, card, "1G") // QEMU takes powers of two
	return card
}

// pi is the machine while the test talks to it.
type pi struct {
	*testing.T
	m *bench.Machine
}

// try runs a command there.
func (p *pi) try(name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(p.Context(), 5*time.Minute)
	defer cancel()
	out, code, err := p.m.Run(ctx, append([]string{name}, args...)...)
	if err == nil && code != 0 {
		err = fmt.Errorf("exit status %d", code)
	}
	return out, err
}

func (p *pi) do(name string, args ...string) string {
	p.Helper()
	out, err := p.try(name, args...)
	if err != nil {
		p.Errorf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

// booted waits until systemd has started all that it starts.
func (p *pi) booted(what string, began time.Time) {
	p.Helper()
	p.Logf("%s: the agent answers after %v, %v by its own clock", what, time.Since(began).Round(time.Second), p.m.Uptime.Round(time.Second))
	if out, _ := p.try("systemctl", "is-system-running", "--wait"); strings.TrimSpace(out) != "running" {
		failed, _ := p.try("systemctl", "--failed", "--no-legend")
		p.Errorf("%s: the system is %s\n%s", what, strings.TrimSpace(out), failed)
	}
	p.Logf("%s: all has started after %v", what, time.Since(began).Round(time.Second))
}

// works is what the test is for: both services are active, and a fresh picture of the
// camera comes out of the receiver. It is kept as an artifact.
func (p *pi) works(what string) {
	p.Helper()
	for _, unit := range []string{"framepipe-receive", "framepipe-send@video0"} {
		if out, err := p.try("systemctl", "is-active", unit); err != nil {
			p.Errorf("%s: %s is %s", what, unit, out)
		}
	}
	b := p.get(what, "/cameras/pi/snapshot")
	file := filepath.Join(p.ArtifactDir(), what+".jpg")
	if err := os.WriteFile(file, b, 0o666); err != nil {
		p.Fatal(err)
	}
	img, err := jpeg.Decode(bytes.NewReader(b))
	if err != nil {
		p.Fatalf("%s: %v", what, err)
	}
	if got := bars(img); got != vivid {
		p.Errorf("%s: the picture (%s) has the bars %s, want %s", what, file, got, vivid)
	}
	p.Logf("%s: a picture of %v, %d bytes: %s", what, img.Bounds().Size(), len(b), file)
}

// vivid shows bars of color, white to black.
const vivid = "RGB RG- -GB -G- R-B R-- --B ---"

// bars are the colors at the lower edge of a picture, below what vivid writes.
func bars(img image.Image) string {
	at, size := img.Bounds().Min, img.Bounds().Size()
	var all []string
	for i := range 8 {
		r, g, b, _ := img.At(at.X+(2*i+1)*size.X/16, at.Y+size.Y*15/16).RGBA()
		bar := []byte("---")
		for c, v := range []uint32{r, g, b} {
			if v > 0x7000 {
				bar[c] = "RGB"[c]
			}
		}
		all = append(all, string(bar))
	}
	return strings.Join(all, " ")
}

// shown opens the page of the receiver, there, in a browser here: it draws the
// camera's pictures and counts what it displays.
func (p *pi) shown(browser context.Context, web, what string) {
	p.Helper()
	page := drive.Open(p.T, browser, "http://"+web+"/#/pi", 1280, 800)
	page.Until("the picture", `document.querySelector("main.one .screen:not(.waiting) canvas")`)
	page.Until("its own count", `[...document.querySelectorAll(".figures dt")].some((d) => d.textContent === "displayed" && parseFloat(d.nextElementSibling.textContent) > 0)`)
	if got := bars(page.Picture()); got != vivid {
		p.Errorf("%s: the page shows the bars %s, want %s", what, got, vivid)
	}
	page.Shot(what)
	page.Close()
}

// unused is an address of this machine that nobody listens on.
func unused(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// get asks the receiver, there, for an address.
func (p *pi) get(what, path string) []byte {
	p.Helper()
	script := `exec 3<>/dev/tcp/127.0.0.1/8080; printf 'GET ` + path + ` HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n' >&3; base64 <&3`
	var out string
	for end := time.Now().Add(5 * time.Minute); time.Now().Before(end); time.Sleep(5 * time.Second) { // the camera may not be there yet
		var err error
		if out, err = p.try("bash", "-c", script); err != nil {
			continue
		}
		raw, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(out, "\n", ""))
		if err != nil {
			p.Fatalf("%s: %v: %s", path, err, out)
		}
		res, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(raw)), nil)
		if err != nil {
			continue
		}
		var body bytes.Buffer
		if _, err := body.ReadFrom(res.Body); err == nil && res.StatusCode == http.StatusOK {
			return body.Bytes()
		}
		out = string(raw)
	}
	journal, _ := p.try("journalctl", "--no-pager", "-n", "60", "-u", "framepipe*")
	p.Fatalf("%s: no %s: %s\n%s", what, path, out, journal)
	return nil
}

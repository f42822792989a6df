package packages

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
)

var installed = []string{
	"/usr/bin/framepipe", "/usr/share/man/man1/framepipe.1.gz", "/usr/share/man/man1/framepipe-send.1.gz", "/usr/share/man/man1/framepipe-receive.1.gz",
	"/usr/share/man/man1/framepipe-experiment-run.1.gz", "/usr/share/man/man1/framepipe-doctor.1.gz",
	"/usr/share/bash-completion/completions/framepipe", "/usr/share/zsh/vendor-completions/_framepipe", "/usr/share/fish/vendor_completions.d/framepipe.fish",
	"/lib/systemd/system/framepipe-send@.service", "/lib/systemd/system/framepipe-send-rpicam@.service", "/lib/systemd/system/framepipe-receive.service",
	"/usr/lib/modules-load.d/framepipe.conf", "/usr/lib/sysctl.d/60-framepipe.conf",
	"/usr/share/framepipe/grafana.json", "/usr/share/framepipe/alerts.yaml", "/usr/share/framepipe/prometheus.yaml",
	"/usr/share/doc/framepipe/copyright",
}

var settings = []string{"/etc/default/framepipe-send", "/etc/default/framepipe-receive"}

// TestPackage takes the amd64 package through its life on a clean Debian: first as
// files, then with systemd running.
func TestPackage(t *testing.T) {
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		t.Skip("needs Linux on amd64")
	}
	need(t, "systemd-nspawn", "systemd-container")
	r := newRoot(t, "amd64")
	older, newer := build(t, "0.1.0", "linux-amd64", "amd64"), build(t, "0.2.0", "linux-amd64", "amd64")
	r.life(older, newer)
	if !t.Failed() {
		r.services(older, newer)
	}
}

// life installs, upgrades, removes and purges, with no systemd running.
func (r *root) life(older, newer string) {
	r.Helper()
	r.install(older)
	for _, name := range append(installed, settings...) {
		if !r.exists(name) {
			r.Errorf("the package brings no %s", name)
		}
	}
	if v := r.in("framepipe", "version"); !strings.Contains(v, "0.1.0") {
		r.Errorf("version says %s", v)
	}
	if id := r.in("id", "framepipe"); !strings.Contains(id, "(video)") || !strings.Contains(r.in("getent", "passwd", "framepipe"), "nologin") {
		r.Errorf("the user is %s", id)
	}
	if out := r.in("dpkg", "--verify", "framepipe"); out != "" {
		r.Errorf("dpkg --verify: %s", out)
	}
	r.in("bash", "-n", "/usr/share/bash-completion/completions/framepipe")

	const mine = "FRAMEPIPE_RECEIVE_HTTP=127.0.0.1:9999 # mine\n"
	r.write("/etc/default/framepipe-receive", []byte(mine))
	r.install(newer)
	if v := r.in("framepipe", "version"); !strings.Contains(v, "0.2.0") {
		r.Errorf("after the upgrade version says %s", v)
	}
	if s := r.read("/etc/default/framepipe-receive"); s != mine {
		r.Errorf("the upgrade changed my settings to %q", s)
	}

	r.in("dpkg", "-r", "framepipe")
	for _, name := range installed {
		if r.exists(name) {
			r.Errorf("removing left %s", name)
		}
	}
	if s := r.read("/etc/default/framepipe-receive"); s != mine {
		r.Errorf("removing changed my settings to %q", s)
	}
	r.in("dpkg", "-P", "framepipe")
	for _, name := range settings {
		if r.exists(name) {
			r.Errorf("purging left %s", name)
		}
	}
	if _, err := exec.Command("chroot", r.dir, "dpkg", "-s", "framepipe").Output(); err == nil {
		r.Error("dpkg still knows the package")
	}
	r.in("id", "framepipe") // stays, as its recordings would
	if out, _ := exec.Command("find", r.dir+"/etc", r.dir+"/usr", r.dir+"/lib/systemd", "-name", "*framepipe*").Output(); len(out) > 0 {
		r.Errorf("purging left\n%s", out)
	}
	if err := os.Remove(r.dir + "/tmp/framepipe.deb"); err != nil {
		r.Error(err)
	}
}

// Package release says how the program is built for people, so that what is measured
// and tested is what is shipped.
package release

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// tags leave out what the program never does: help texts made by text/template (with
// which the linker has to keep every exported method there is), gonum/plot's PDF, EPS
// and TeX, and HTTP/2, which the server does not speak (a WebSocket, and a connection
// that is taken over, are HTTP/1.1).
const tags = "urfave_cli_no_template,minimal,nethttpomithttp2"

// cold are the packages that no frame passes through. Functions are not inlined in
// them (of cryptography, that which handshakes alone need): that is worth 1.4 MB on every machine, and costs nothing that could be measured: 20, 100 and 1000 viewers
// took 0.99, 1.01 and 1.03 times the processor time that they take from a build without (test/fanout -beside). A package that is not in the list is compiled as usual.
var cold = strings.Fields(`
	github.com/nats-io/... github.com/klauspost/...
	github.com/urfave/... github.com/pion/... github.com/at-wat/... github.com/aclements/...
	github.com/munnerz/...
	go.yaml.in/... gonum.org/... golang.org/x/image/... golang.org/x/net/... golang.org/x/perf/... golang.org/x/text/...
	golang.org/x/term/... golang.org/x/crypto/... git.sr.ht/... codeberg.org/... maragu.dev/... rsc.io/...
	net/http/... net/textproto net/url fmt reflect strconv internal/strconv encoding/json encoding/asn1 encoding/xml encoding/pem encoding/csv
	encoding/base64 encoding/hex text/... html/... regexp/... log/... image/... archive/... compress/... mime/... path/...
	runtime/pprof runtime/trace runtime/debug internal/profile internal/reflectlite internal/fmtsort internal/godebug
	crypto/x509/... crypto/tls/... vendor/... flag os/... embed container/...
	framepipe/internal/app framepipe/internal/doctor framepipe/internal/lab framepipe/internal/metrics framepipe/internal/discover
	framepipe/internal/netem framepipe/internal/glass framepipe/internal/secure framepipe/internal/records framepipe/internal/bus framepipe/capture/open framepipe/experiment/...
	net/mail net/netip net/http/internal/... crypto/internal/sysrand crypto/ecdsa crypto/rsa crypto/elliptic crypto/dsa crypto/des math/big sort
	os syscall context bufio io/fs strings unicode/... hash/... maps math/rand math/rand/v2
	crypto crypto/ecdh crypto/ed25519 crypto/hkdf crypto/hmac crypto/hpke crypto/mlkem crypto/rand crypto/internal/boring
	crypto/internal/fips140only crypto/internal/fips140/bigmod crypto/internal/fips140/check crypto/internal/fips140/drbg
	crypto/internal/fips140/ecdh crypto/internal/fips140/ecdsa crypto/internal/fips140/ed25519 crypto/internal/fips140/edwards25519/...
	crypto/internal/fips140/hkdf crypto/internal/fips140/mlkem crypto/internal/fips140/nistec/... crypto/internal/fips140/rsa
	crypto/internal/fips140/tls12 crypto/internal/fips140/tls13
`)

// hot are those of them whose loops frames pass after all, where there is TLS and the
// processor has no AES instructions.
var hot = strings.Fields(`
	vendor/golang.org/x/crypto/chacha20/... vendor/golang.org/x/crypto/chacha20poly1305/... vendor/golang.org/x/crypto/internal/...
`)

// Tags are the build tags, with more of them.
func Tags(extra ...string) string { return strings.Join(append([]string{tags}, extra...), ",") }

// Flags are those of go build, but for the linker's; extra are more build tags.
func Flags(extra ...string) []string {
	flags := []string{"-trimpath", "-tags=" + Tags(extra...)}
	for _, p := range cold {
		flags = append(flags, "-gcflags="+p+"=-l")
	}
	for _, p := range hot { // of several patterns the last counts
		flags = append(flags, "-gcflags="+p+"=")
	}
	return flags
}

// Build builds the program into the file path, static and stripped. env is what is to
// be set beside the environment, as GOARCH=arm64. It runs in any folder of the module.
func Build(path, version string, env ...string) error {
	args := append([]string{"build", "-buildvcs=false"}, Flags()...)
	args = append(args, "-ldflags", "-s -w"+aligned(env)+" -X framepipe/internal/app.version="+version, "-o", path, "framepipe/cmd/framepipe")
	cmd := exec.Command("go", args...)
	cmd.Env = append(append(os.Environ(), "CGO_ENABLED=0"), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

// aligned has functions begin where the processor fetches instructions, every 16 bytes,
// and not every 32, which the linker's default for amd64 is: 0.2 MB. The loops in
// assembly say themselves how they are to be aligned.
func aligned(env []string) string {
	arch := cmp.Or(os.Getenv("GOARCH"), runtime.GOARCH)
	for _, e := range env {
		if v, ok := strings.CutPrefix(e, "GOARCH="); ok {
			arch = v
		}
	}
	if arch != "amd64" {
		return ""
	}
	return " -funcalign=16"
}

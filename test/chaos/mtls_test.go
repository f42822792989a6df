//go:build linux

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"framepipe/wire"
)

// authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string // its certificate
}

func newAuthority(t *testing.T, dir, name string) *authority {
	t.Helper()
	a := &authority{file: filepath.Join(dir, name+"-ca.pem")}
	a.cert, a.key = sign(t, nil, name, a.file, "", time.Hour)
	return a
}

// issue writes a certificate and its key, for a machine of 127.0.0.1, and names the files.
func (a *authority) issue(t *testing.T, dir, name string, valid time.Duration) (cert, key string) {
	t.Helper()
	cert, key = filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key")
	sign(t, a, name, cert, key, valid)
	return cert, key
}

func sign(t *testing.T, by *authority, name, certFile, keyFile string, valid time.Duration) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(valid),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true}
	parent, with := c, key
	if by == nil {
		c.IsCA, c.KeyUsage, c.ExtKeyUsage = true, x509.KeyUsageCertSign, nil
	} else {
		parent, with = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, with)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, b []byte) {
		if name == "" {
			return
		}
		if err := os.WriteFile(name, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(certFile, "CERTIFICATE", der)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(keyFile, "PRIVATE KEY", private)
	made, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return made, key
}

// Mutual TLS, end to end: only who has a certificate of our authority sends, and
// only to a receiver that has one.
func TestMutualTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ours, others := newAuthority(t, dir, "ours"), newAuthority(t, dir, "others")
	serverCert, serverKey := ours.issue(t, dir, "receiver", time.Hour)
	goodCert, goodKey := ours.issue(t, dir, "camera", time.Hour)
	badCert, badKey := others.issue(t, dir, "stranger", time.Hour)
	oldCert, oldKey := ours.issue(t, dir, "expired", -time.Hour)
	recv := launch(t, nil, "", "receive", "--listen", "127.0.0.1:0", "--http", "", "--announce", "", "--tls-cert", serverCert, "--tls-key", serverKey, "--tls-client-ca", ours.file)
	listens := regexp.MustCompile(`waiting for cameras on (\S+)`)
	eventually(t, "its address", func() bool { return listens.MatchString(recv.stderr()) }, recv.stderr)
	addr := listens.FindStringSubmatch(recv.stderr())[1]
	connected := func(name string) bool { return strings.Contains(recv.stderr(), "camera connected: camera "+name+",") }

	for name, tc := range map[string]struct {
		args []string
		ok   bool
	}{
		"good":                {[]string{"--tls-ca", ours.file, "--tls-cert", goodCert, "--tls-key", goodKey}, true},
		"no-certificate":      {[]string{"--tls-ca", ours.file}, false},
		"foreign-certificate": {[]string{"--tls-ca", ours.file, "--tls-cert", badCert, "--tls-key", badKey}, false},
		"expired-certificate": {[]string{"--tls-ca", ours.file, "--tls-cert", oldCert, "--tls-key", oldKey}, false},
		"foreign-receiver":    {[]string{"--tls-ca", others.file, "--tls-cert", goodCert, "--tls-key", goodKey}, false},
		"in-the-clear":        {nil, false},
		"v0":                  {[]string{"--wire", "v0"}, false},
		"a-token-only":        {[]string{"--tls-ca", ours.file, "--token", "a-long-enough-token"}, false},
	} {
		send := launch(t, nil, "", append(append([]string{"send", "--source", "pattern", "--name", name, "--warmup", "0s", "--for", "1500ms"}, tc.args...), addr)...)
		<-send.done
		if sent := strings.Contains(send.stderr(), " 0 frames: 0 sent") || !strings.Contains(send.stderr(), "confirmed by the receiver"); sent == tc.ok || connected(name) != tc.ok {
			t.Errorf("%s: connected %v, want %v\nsend: %s\nreceive: %s", name, connected(name), tc.ok, send.stderr(), recv.stderr())
		}
	}
	// v0 by hand, whose sender knows nothing of being refused.
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = c.Write(append(wire.AppendV0(nil, 4), 0xff, 0xd8, 0xff, 0xd9))
	eventually(t, "v0 sent away", func() bool { return strings.Contains(recv.stderr(), "v0 cannot carry the token") }, recv.stderr)
	if n := strings.Count(recv.stderr(), "camera connected"); n != 1 {
		t.Errorf("%d cameras were let in:\n%s", n, recv.stderr())
	}
	if !strings.Contains(recv.stderr(), "TLS_") {
		t.Errorf("the cipher in use is not told:\n%s", recv.stderr())
	}
}

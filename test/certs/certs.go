// Package certs makes certificates for tests, as a small company does with an
// authority of its own: files in a folder, for programs on this machine's loopback or
// in network namespaces of a test, good for an hour. It is not for anything that lasts.
package certs

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
	"testing"
	"time"
)

// Authority signs certificates; its own is ca.pem in its folder.
type Authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	n    int64
}

// New makes one that writes to dir.
func New(t *testing.T, dir string) *Authority {
	t.Helper()
	a := &Authority{t: t, dir: dir}
	a.cert, a.key = a.sign("ca", &x509.Certificate{IsCA: true, KeyUsage: x509.KeyUsageCertSign})
	return a
}

// Server writes NAME.pem and NAME.key for a server on 127.0.0.1, or on these.
func (a *Authority) Server(name string, on ...net.IP) {
	a.t.Helper()
	if len(on) == 0 {
		on = []net.IP{net.IPv4(127, 0, 0, 1)}
	}
	a.sign(name, &x509.Certificate{IPAddresses: on, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
}

// Client writes NAME.pem and NAME.key for a client.
func (a *Authority) Client(name string) {
	a.t.Helper()
	a.sign(name, &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
}

// Expired writes NAME.pem and NAME.key for a client, of an hour ago.
func (a *Authority) Expired(name string) {
	a.t.Helper()
	a.sign(name, &x509.Certificate{NotAfter: time.Now().Add(-time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
}

// File is the path of NAME.pem, or NAME.key.
func (a *Authority) File(name string) string { return filepath.Join(a.dir, name) }

func (a *Authority) sign(name string, c *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	check := func(err error) {
		a.t.Helper()
		if err != nil {
			a.t.Fatal(err)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(err)
	a.n++
	c.SerialNumber, c.Subject, c.BasicConstraintsValid = big.NewInt(a.n), pkix.Name{CommonName: name}, true
	c.NotBefore = time.Now().Add(-2 * time.Hour)
	if c.NotAfter.IsZero() {
		c.NotAfter = time.Now().Add(time.Hour)
	}
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	check(err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	check(err)
	check(os.WriteFile(filepath.Join(a.dir, name+".pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	check(os.WriteFile(filepath.Join(a.dir, name+".key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
	signed, err := x509.ParseCertificate(der)
	check(err)
	return signed, key
}

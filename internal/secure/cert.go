package secure

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"time"
)

// ALPN is what framepipe's wire is called in TLS, so that no other program's
// connection can be led here or ours elsewhere.
const ALPN = "framepipe/1"

// Pin is the SHA-256 of a certificate's public key (SubjectPublicKeyInfo): it
// survives a new certificate of the same key.
type Pin [sha256.Size]byte

func (p Pin) String() string { return base64.RawURLEncoding.EncodeToString(p[:]) }

// ParsePin reads what String writes.
func ParsePin(s string) (Pin, error) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) != sha256.Size {
		return Pin{}, fmt.Errorf("pin %q: it must have 43 letters, as the receiver prints it", s)
	}
	return Pin(b), nil
}

// PinOf is a certificate's pin.
func PinOf(c *x509.Certificate) Pin { return sha256.Sum256(c.RawSubjectPublicKeyInfo) }

// ErrPin says that the other side is not the one whose pin we were given.
var ErrPin = errors.New("the receiver's certificate is not the one of the connect string")

// ServerConfig is TLS for a receiver: 1.3 alone, no session that could be taken up
// again. The cipher is the library's choice, which follows the machines: AES-GCM
// where both have instructions for it, ChaCha20-Poly1305 where not.
func ServerConfig(cert tls.Certificate, clients *x509.CertPool) *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{cert}, NextProtos: []string{ALPN},
		SessionTicketsDisabled: true, DynamicRecordSizingDisabled: true}
	if clients != nil {
		c.ClientCAs, c.ClientAuth = clients, tls.RequireAndVerifyClientCert
	}
	return c
}

// ClientConfig is TLS for a sender. With a pin the receiver is that one; else, with
// roots, one that these vouch for; else anybody, and it is up to the caller to
// have the receiver prove that it knows the token.
func ClientConfig(host string, pin *Pin, roots *x509.CertPool, own []tls.Certificate) *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS13, ServerName: host, NextProtos: []string{ALPN}, RootCAs: roots,
		Certificates: own, DynamicRecordSizingDisabled: true, InsecureSkipVerify: roots == nil}
	if pin != nil {
		c.InsecureSkipVerify = true
		c.VerifyConnection = func(cs tls.ConnectionState) error {
			if len(cs.PeerCertificates) == 0 {
				return ErrPin
			}
			if got := PinOf(cs.PeerCertificates[0]); subtle.ConstantTimeCompare(got[:], pin[:]) != 1 {
				return ErrPin
			}
			return nil
		}
	}
	return c
}

// KeepCertificate returns the certificate that is kept in dir, and makes one if
// there is none. Its key never leaves the file, which only its owner can read.
func KeepCertificate(dir string) (tls.Certificate, error) {
	name := filepath.Join(dir, "receiver.pem")
	b, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		if b, err = makeCertificate(); err == nil {
			err = writePrivate(name, b)
		}
	} else if err == nil {
		err = private(name)
	}
	if err != nil {
		return tls.Certificate{}, err
	}
	c, err := tls.X509KeyPair(b, b)
	if err != nil {
		return c, fmt.Errorf("%s: %w (remove it to have a new one made; connect strings change then)", name, err)
	}
	return c, nil
}

// private refuses a key that others can read.
func private(name string) error {
	fi, err := os.Stat(name)
	if err == nil && runtime.GOOS != "windows" && fi.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%s has mode %04o: others can read the key in it; chmod 600 it, or remove it to have a new one made", name, fi.Mode().Perm())
	}
	return err
}

func makeCertificate() ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	names := []string{"localhost"}
	if h, err := os.Hostname(); err == nil && h != "" {
		names = append(names, h)
	}
	// Its time is not what it is trusted for: a Raspberry Pi without a clock
	// battery starts in the past.
	t := &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: "framepipe receiver"}, DNSNames: names,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
		NotBefore:   time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2099, 12, 31, 0, 0, 0, 0, time.UTC),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return nil, err
	}
	k, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: k})...), nil
}

// Pool reads a file of certificates that are trusted to vouch for others.
func Pool(name string) (*x509.CertPool, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	p := x509.NewCertPool()
	if !p.AppendCertsFromPEM(b) {
		return nil, fmt.Errorf("%s: there is no certificate (PEM) in it", name)
	}
	return p, nil
}

// StateDir is where token and certificate are kept unless the user says where:
// what systemd gives a service, else the user's own folder for such things.
func StateDir() (string, error) {
	if d := os.Getenv("STATE_DIRECTORY"); d != "" {
		return filepath.SplitList(d)[0], nil
	}
	if d := os.Getenv("XDG_STATE_HOME"); filepath.IsAbs(d) {
		return filepath.Join(d, "framepipe"), nil
	}
	if runtime.GOOS != "linux" {
		d, err := os.UserConfigDir()
		return filepath.Join(d, "framepipe"), err
	}
	d, err := os.UserHomeDir()
	return filepath.Join(d, ".local", "state", "framepipe"), err
}

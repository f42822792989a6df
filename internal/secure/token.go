package secure

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Right is something that a token allows; rights are a set.
type Right uint8

// Rights.
const (
	Send Right = 1 << iota
	View
	Control

	All = Send | View | Control
)

// GuessableBelow is the length under which a token may be found by trying.
const GuessableBelow = 16

const (
	tokenBytes = 18 // 144 bits, 24 characters
	tokenMost  = 1024
)

// Keys are a receiver's token and those that are derived from it. A nil *Keys is
// a receiver without a token.
type Keys struct {
	all, send, view string
}

// NewKeys derives what belongs to a token.
func NewKeys(token string) (*Keys, error) {
	if err := checkToken(token); err != nil {
		return nil, err
	}
	return &Keys{all: token, send: derive(token, "framepipe send"), view: derive(token, "framepipe view")}, nil
}

func checkToken(token string) error {
	switch {
	case token == "":
		return errors.New("the token is empty")
	case len(token) > tokenMost:
		return fmt.Errorf("the token has %d bytes: use %d at most", len(token), tokenMost)
	case strings.ContainsFunc(token, func(r rune) bool { return r < 0x21 || r == 0x7f || r == 0xfffd }):
		return errors.New("the token has a space, a control character or broken UTF-8 in it")
	}
	return nil
}

func derive(token, purpose string) string {
	b, err := hkdf.Key(sha256.New, []byte(token), nil, purpose, tokenBytes)
	if err != nil {
		panic(err) // only for lengths that are too large
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// SendToken is the token that lets cameras in and does nothing else.
func (k *Keys) SendToken() string { return k.send }

// ViewToken is the token that lets look and does nothing else.
func (k *Keys) ViewToken() string { return k.view }

// Guessable reports whether the token is short enough to be found by trying.
func (k *Keys) Guessable() bool { return len(k.all) < GuessableBelow }

// Rights tells what a token allows, in a time that does not depend on it.
func (k *Keys) Rights(token string) Right {
	return Right(same(token, k.all))*All | Right(same(token, k.send))*Send | Right(same(token, k.view))*View
}

// same is 1 or 0; hashed, so that lengths do not show either.
func same(a, b string) int {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:])
}

// Roles in a proof: what one side said must not serve as the other's answer.
const (
	roleSender   = "framepipe sender"
	roleReceiver = "framepipe receiver"
)

// exporterLabel is that of tls-exporter, RFC 9266.
const exporterLabel = "EXPORTER-Channel-Binding"

func proof(token, role string, cs *tls.ConnectionState) (string, error) {
	ekm, err := cs.ExportKeyingMaterial(exporterLabel, nil, 32)
	if err != nil {
		return "", fmt.Errorf("no proof over this connection: %w", err)
	}
	m := hmac.New(sha256.New, []byte(token))
	m.Write([]byte(role))
	m.Write([]byte{0})
	m.Write(ekm)
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil)), nil
}

// Prove is a sender's proof that it knows token, for this connection alone.
func Prove(token string, cs *tls.ConnectionState) (string, error) {
	return proof(token, roleSender, cs)
}

// Answers reports whether answer proves that the receiver knows token too.
func Answers(token, answer string, cs *tls.ConnectionState) bool {
	want, err := proof(token, roleReceiver, cs)
	return err == nil && same(answer, want) == 1
}

// Admit checks a sender's proof, or its token where it cannot make one, and
// returns its rights and the receiver's own proof.
func (k *Keys) Admit(token, shown string, cs *tls.ConnectionState) (Right, string, error) {
	rights, answer := Right(0), ""
	for _, c := range []struct {
		token  string
		rights Right
	}{{k.all, All}, {k.send, Send}, {k.view, View}} {
		want, err := proof(c.token, roleSender, cs)
		if err != nil {
			return 0, "", err
		}
		if same(shown, want)|same(token, c.token) == 1 {
			rights |= c.rights
			if answer, err = proof(c.token, roleReceiver, cs); err != nil {
				return 0, "", err
			}
		}
	}
	return rights, answer, nil
}

// KeepToken returns the token that is kept in dir, and makes one if there is none.
func KeepToken(dir string) (string, error) {
	name := filepath.Join(dir, "token")
	token, err := ReadToken(name)
	if !errors.Is(err, fs.ErrNotExist) {
		return token, err
	}
	var b [tokenBytes]byte
	rand.Read(b[:]) // never fails
	token = base64.RawURLEncoding.EncodeToString(b[:])
	return token, writePrivate(name, []byte(token+"\n"))
}

// ReadToken reads a token from a file: its first line.
func ReadToken(name string) (string, error) {
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b := make([]byte, tokenMost+2)
	n, err := f.Read(b)
	if err != nil {
		return "", fmt.Errorf("%s: no token in it: %w", name, err)
	}
	line, _, _ := strings.Cut(string(b[:n]), "\n")
	token := strings.TrimSpace(line)
	if err := checkToken(token); err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	return token, nil
}

// writePrivate writes a file that its owner alone can read, whole or not at all.
func writePrivate(name string, b []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".new-*") // of mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

// Cookie is what a browser shows after a login: rights until a time, and a MAC
// that only who has the token can make. It survives a restart.
func (k *Keys) Cookie(rights Right, until time.Time) string {
	b := binary.BigEndian.AppendUint64(nil, uint64(until.Unix()))
	b = append(b, byte(rights))
	return base64.RawURLEncoding.EncodeToString(append(b, k.cookieMAC(b)...))
}

func (k *Keys) cookieMAC(b []byte) []byte {
	m := hmac.New(sha256.New, []byte(derive(k.all, "framepipe cookie")))
	m.Write(b)
	return m.Sum(nil)
}

// CookieRights tells what a cookie allows now.
func (k *Keys) CookieRights(cookie string, now time.Time) Right {
	const size = 9
	b, err := base64.RawURLEncoding.DecodeString(cookie)
	if err != nil || len(b) != size+sha256.Size || !hmac.Equal(b[size:], k.cookieMAC(b[:size])) {
		return 0
	}
	if uint64(now.Unix()) >= binary.BigEndian.Uint64(b) {
		return 0
	}
	return Right(b[8])
}

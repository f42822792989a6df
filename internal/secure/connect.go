package secure

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"

	"rsc.io/qr"
)

const scheme = "framepipe"

// Connect is what a connect string says: framepipe://TOKEN@HOST:PORT/PIN.
type Connect struct {
	Address string // host:port
	Token   string
	Pin     *Pin // nil = none: the receiver is known by the token alone
}

// IsConnect reports whether text means to be a connect string.
func IsConnect(text string) bool { return strings.HasPrefix(strings.ToLower(text), scheme+"://") }

func (c Connect) String() string {
	u := url.URL{Scheme: scheme, Host: c.Address}
	if c.Token != "" {
		u.User = url.User(c.Token)
	}
	if c.Pin != nil {
		u.Path = "/" + c.Pin.String()
	}
	return u.String()
}

// ParseConnect reads a connect string. No error repeats the token.
func ParseConnect(text string, port int) (Connect, error) {
	u, err := url.Parse(strings.TrimSpace(text))
	if err != nil || !strings.EqualFold(u.Scheme, scheme) || u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" {
		return Connect{}, errors.New("the connect string is damaged: it must be framepipe://TOKEN@HOST:PORT/PIN, whole, as the receiver prints it")
	}
	if u.Port() != "" {
		n, err := strconv.ParseUint(u.Port(), 10, 16)
		if err != nil || n == 0 {
			return Connect{}, fmt.Errorf("the connect string is damaged: there is no port %s", u.Port())
		}
		port = int(n)
	}
	if strings.Contains(u.Hostname(), ":") {
		if _, err := netip.ParseAddr(u.Hostname()); err != nil {
			return Connect{}, fmt.Errorf("the connect string is damaged: %q is no address", u.Hostname())
		}
	}
	c := Connect{Address: net.JoinHostPort(u.Hostname(), strconv.Itoa(port))}
	if u.User != nil {
		if _, more := u.User.Password(); more {
			return Connect{}, errors.New("the connect string is damaged: there is a colon in the token")
		}
		c.Token = u.User.Username()
		if err := checkToken(c.Token); err != nil {
			return Connect{}, err
		}
	}
	if p := strings.Trim(u.Path, "/"); p != "" {
		pin, err := ParsePin(p)
		if err != nil {
			return Connect{}, err
		}
		c.Pin = &pin
	}
	return c, nil
}

// ReadConnect reads a connect string from a file, so that no other user of the
// machine sees it in the list of processes.
func ReadConnect(name string, port int) (Connect, error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return Connect{}, err
	}
	line, _, _ := strings.Cut(strings.TrimSpace(string(b)), "\n")
	if !IsConnect(line) {
		return Connect{}, fmt.Errorf("%s: there is no connect string in it", name)
	}
	return ParseConnect(line, port)
}

// QRText draws a QR code for a terminal, two rows of it a line, dark on light
// whatever the terminal's colours are.
func QRText(text string) (string, error) {
	c, err := qr.Encode(text, qr.L)
	if err != nil {
		return "", err
	}
	const quiet = 2
	var b strings.Builder
	for y := -quiet; y < c.Size+quiet; y += 2 {
		b.WriteString("\x1b[30;107m")
		for x := -quiet; x < c.Size+quiet; x++ {
			switch top, low := c.Black(x, y), c.Black(x, y+1); {
			case top && low:
				b.WriteString("█")
			case top:
				b.WriteString("▀")
			case low:
				b.WriteString("▄")
			default:
				b.WriteString(" ")
			}
		}
		b.WriteString("\x1b[0m\n")
	}
	return b.String(), nil
}

// QRPicture is a QR code as a PNG.
func QRPicture(text string) ([]byte, error) {
	c, err := qr.Encode(text, qr.M)
	if err != nil {
		return nil, err
	}
	c.Scale = 6
	return c.PNG(), nil
}

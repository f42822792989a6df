package app

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"

	"github.com/urfave/cli/v3"

	"framepipe/internal/secure"
	"framepipe/internal/web"
	"framepipe/stream"
	"framepipe/wire"
)

// secureFlags are those of a receiver that lets nobody in without a token.
func secureFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "token", Usage: "let in only who knows this secret, over TLS; `SECRET` auto = made at first and kept in --state"},
		&cli.StringFlag{Name: "token-file", Usage: "read the token from `FILE`"},
		&cli.StringFlag{Name: "state", Usage: "`DIR` of what is kept: certificate, token, records", DefaultText: "the user's state folder"},
		&cli.StringFlag{Name: "tls-cert", Usage: "`FILE` of an own certificate (PEM, with its chain) instead of one that is made"},
		&cli.StringFlag{Name: "tls-key", Usage: "`FILE` of its key (PEM)"},
		&cli.StringFlag{Name: "tls-client-ca", Usage: "demand certificates of cameras, signed by one in `FILE` (mutual TLS)"},
	}
}

// guard is what a receiver asks of its peers.
type guard struct {
	keys     *secure.Keys // nil = no token
	tls      *tls.Config  // nil = no TLS
	pin      secure.Pin
	failures secure.Failures
}

// tokenOf reads --token or --token-file.
func tokenOf(c *cli.Command) (string, error) {
	token, file := c.String("token"), c.String("token-file")
	switch {
	case token != "" && file != "":
		return "", usagef("", "--token and --token-file exclude each other")
	case file != "":
		token, err := secure.ReadToken(file)
		if err != nil {
			return "", &usageError{fmt.Errorf("--token-file: %w", err), ""}
		}
		return token, nil
	}
	return token, nil
}

// stateDir is where token, certificate and records are kept.
func stateDir(c *cli.Command) (string, error) {
	if dir := c.String("state"); dir != "" {
		return dir, nil
	}
	dir, err := secure.StateDir()
	if err != nil {
		return "", usagef("say where with --state", "there is no place to keep anything: %w", err)
	}
	return dir, nil
}

// newGuard reads secureFlags.
func newGuard(c *cli.Command) (*guard, error) {
	g := new(guard)
	token, err := tokenOf(c)
	if err != nil {
		return nil, err
	}
	dir, noDir := stateDir(c)
	if token == "auto" && c.String("token-file") == "" {
		if noDir != nil {
			return nil, noDir
		}
		if token, err = secure.KeepToken(dir); err != nil {
			return nil, fmt.Errorf("the token cannot be kept: %w", err)
		}
	}
	if token != "" {
		if g.keys, err = secure.NewKeys(token); err != nil {
			return nil, usagef("use --token auto", "--token: %w", err)
		}
	}
	own, err := ownCertificate(c)
	if err != nil {
		return nil, err
	}
	if token == "" && len(own) == 0 {
		if c.String("tls-client-ca") != "" {
			return nil, usagef("", "--tls-client-ca needs --tls-cert and --tls-key, or a --token")
		}
		return g, nil
	}
	if len(own) == 0 {
		if noDir != nil {
			return nil, noDir
		}
		cert, err := secure.KeepCertificate(dir)
		if err != nil {
			return nil, &hinted{fmt.Errorf("the certificate cannot be kept: %w", err), "say where with --state"}
		}
		own = []tls.Certificate{cert}
	}
	var clients *x509.CertPool
	if name := c.String("tls-client-ca"); name != "" {
		if clients, err = secure.Pool(name); err != nil {
			return nil, usagef("", "--tls-client-ca: %w", err)
		}
	}
	leaf, err := x509.ParseCertificate(own[0].Certificate[0])
	if err != nil {
		return nil, err
	}
	g.pin, g.tls = secure.PinOf(leaf), secure.ServerConfig(own[0], clients)
	return g, nil
}

// ownCertificate reads --tls-cert and --tls-key, if given.
func ownCertificate(c *cli.Command) ([]tls.Certificate, error) {
	cert, key := c.String("tls-cert"), c.String("tls-key")
	if cert == "" && key == "" {
		return nil, nil
	}
	if cert == "" {
		return nil, usagef("", "--tls-key needs --tls-cert")
	}
	own, err := tls.LoadX509KeyPair(cert, cmp.Or(key, cert))
	if err != nil {
		return nil, usagef("both must be PEM files", "--tls-cert, --tls-key: %w", err)
	}
	return []tls.Certificate{own}, nil
}

// admit says who may send. Without a token or certificates, only addresses that
// cannot be reached from the internet.
func (g *guard) admit(p *stream.Peer) error {
	switch {
	case g.keys == nil && g.tls != nil && g.tls.ClientCAs != nil:
		return nil // by its certificate
	case g.keys == nil:
		if secure.Local(p.Addr) {
			return nil
		}
		return fmt.Errorf("%v is not a local or private address: start the receiver with --token to accept it", p.Addr)
	case p.TLS == nil || p.Hello == nil || p.Hello.Auth == nil:
		return errors.New("this receiver asks for a token: use --token")
	}
	if err := g.failures.Allow(p.Addr); err != nil {
		return err
	}
	rights, answer, err := g.keys.Admit(p.Hello.Auth.Token, p.Hello.Auth.Proof, p.TLS)
	switch {
	case err != nil:
		return err
	case rights == 0:
		g.failures.Failed(p.Addr)
		return errors.New("wrong token")
	case rights&secure.Send == 0:
		return errors.New("this token does not allow to send")
	}
	p.Answer = answer
	return nil
}

// connectString is what `send` takes to reach a receiver that listens at a.
func (g *guard) connectString(a net.Addr) string {
	c := secure.Connect{Address: a.String(), Pin: &g.pin}
	if g.keys != nil {
		c.Token = g.keys.SendToken()
	}
	if ap, err := netip.ParseAddrPort(a.String()); err == nil && ap.Addr().IsUnspecified() {
		c.Address = net.JoinHostPort(reachable(), strconv.Itoa(int(ap.Port())))
	}
	return c.String()
}

// reachable is the address of this machine that others most likely reach: the one
// that it would itself talk from to the world, if it has a way there. (A bridge of
// containers often comes first in the list of interfaces.)
func reachable() string {
	if c, err := net.Dial("udp4", "192.0.2.1:9"); err == nil { // TEST-NET-1; nothing is sent
		defer c.Close()
		if a, ok := c.LocalAddr().(*net.UDPAddr); ok && a.IP.IsGlobalUnicast() && !a.IP.IsLoopback() {
			return a.IP.String()
		}
	}
	best := ""
	addrs, _ := net.InterfaceAddrs()
	for _, a := range addrs {
		n, ok := a.(*net.IPNet)
		if !ok || n.IP.IsLoopback() || !n.IP.IsGlobalUnicast() {
			continue
		}
		if n.IP.To4() != nil {
			return n.IP.String()
		}
		best = cmp.Or(best, n.IP.String())
	}
	if best == "" {
		best, _ = os.Hostname()
	}
	return cmp.Or(best, "127.0.0.1")
}

// announce tells the person how cameras get in.
func (r *receiving) announce(g *guard, a net.Addr) {
	switch {
	case g.tls == nil:
		r.log.Info("cameras are accepted from local and private addresses only; with --token, from everywhere")
		return
	case g.keys != nil && g.keys.Guessable():
		r.log.Warn(fmt.Sprintf("the token is shorter than %d letters and can be found by trying: --token auto makes a good one", secure.GuessableBelow))
	}
	text := g.connectString(a)
	// The connect string is for the person who started this, on standard output, and
	// for no log.
	switch {
	case r.json:
	case r.con.tty:
		if code, err := secure.QRText(text); err == nil {
			r.con.line(r.env.stdout, strings.TrimSuffix(code, "\n"))
		}
		fallthrough
	default:
		r.con.line(r.env.stdout, "framepipe send "+text)
	}
}

// reach is how cameras get here, as far as a page that was asked for at the address
// seen of this machine can tell.
func (r *receiving) reach(seen netip.Addr) (out web.Reach) {
	at, err := netip.ParseAddrPort(r.listens.String())
	if err != nil {
		return web.Reach{Address: r.listens.String()}
	}
	host := at.Addr().Unmap().String()
	switch {
	case at.Addr().IsLoopback():
		out.Local = true
	case !at.Addr().IsUnspecified():
	case seen.IsValid() && !seen.IsLoopback():
		host = seen.WithZone("").String()
	default:
		host = reachable()
	}
	if r.announced != nil {
		out.Name = r.announced.Name
	}
	if out.Address = host; at.Port() != wire.DefaultPort || strings.Contains(host, ":") {
		out.Address = net.JoinHostPort(host, strconv.Itoa(int(at.Port())))
	}
	return out
}

// webGuard is what the page asks for, nil without a token.
func (r *receiving) webGuard() *web.Guard {
	if r.guard == nil || r.guard.keys == nil {
		return nil
	}
	return &web.Guard{Keys: r.guard.keys, Failures: &r.guard.failures, Connect: r.guard.connectString(r.listens), Plain: r.plain}
}

// connection reads what `send` is to do about TLS and token; a connect string
// brings all of it.
func connection(c *cli.Command, sc *stream.SenderConfig) error {
	arg := c.Args().First()
	var to secure.Connect
	var err error
	switch file, isFile := strings.CutPrefix(arg, "@"); {
	case isFile:
		to, err = secure.ReadConnect(file, wire.DefaultPort)
	case secure.IsConnect(arg):
		to, err = secure.ParseConnect(arg, wire.DefaultPort)
	default:
		to.Address = sc.Address
	}
	if err != nil {
		return &usageError{err, "copy the line that `framepipe receive` prints, whole, in quotes"}
	}
	sc.Address = to.Address
	if sc.Token, err = tokenOf(c); err != nil {
		return err
	}
	sc.Token = cmp.Or(sc.Token, to.Token)
	own, err := ownCertificate(c)
	if err != nil {
		return err
	}
	var roots *x509.CertPool
	if name := c.String("tls-ca"); name != "" {
		if roots, err = secure.Pool(name); err != nil {
			return usagef("", "--tls-ca: %w", err)
		}
	}
	if sc.Token == "" && to.Pin == nil && roots == nil {
		if len(own) > 0 {
			return usagef("give --tls-ca or a connect string", "--tls-cert: nothing says which receiver to trust")
		}
		return nil
	}
	if sc.V0 {
		return usagef("leave out --wire v0", "wire v0 has neither tokens nor TLS")
	}
	host, _, _ := net.SplitHostPort(sc.Address)
	if sc.Dial != nil {
		host = "" // who is found: its certificate is for the address where it answers
	}
	sc.TLS = secure.ClientConfig(host, to.Pin, roots, own)
	return nil
}

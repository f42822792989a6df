package app

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v3"

	"framepipe/internal/discover"
	"framepipe/stream"
	"framepipe/wire"
)

// announceFlag is a receiver's.
func announceFlag() cli.Flag {
	return &cli.StringFlag{Name: "announce", Value: thisReceiver(), Usage: "the `NAME` under which cameras on the local network find this receiver (DNS-SD); \"\" = none", DefaultText: "this machine's name"}
}

// thisReceiver is what a receiver is called unless told.
func thisReceiver() string {
	host, _ := os.Hostname()
	host, _, _ = strings.Cut(host, ".")
	return cmp.Or(host, "framepipe")
}

// announcement is what r tells of itself to the network; nil = nothing.
func (r *receiving) announcement(c *cli.Command, at net.Addr) *discover.Announcement {
	listen, err := netip.ParseAddrPort(at.String())
	if err != nil {
		return nil
	}
	name := strings.ReplaceAll(c.String("announce"), ".", "-") // a dot parts names in DNS
	a := &discover.Announcement{Name: strings.ToValidUTF8(name[:min(len(name), 50)], ""), Listen: listen, Version: Version(), Log: r.log}
	if !c.IsSet("announce") && listen.Port() != wire.DefaultPort { // there may be several on one machine
		a.Name += fmt.Sprintf("-%d", listen.Port())
	}
	if !a.Possible() {
		return nil
	}
	if a.Token = r.guard.keys != nil || r.guard.tls != nil; !a.Token {
		a.Cameras = r.connected
	}
	return a
}

// pageFor is the page's scheme and port where other machines see it.
func pageFor(ln net.Addr, https bool) string {
	ap, err := netip.ParseAddrPort(ln.String())
	if err != nil || ap.Addr().IsLoopback() {
		return ""
	}
	return fmt.Sprintf("%s:%d", map[bool]string{true: "https", false: "http"}[https], ap.Port())
}

// connected lists the cameras that are connected.
func (r *receiving) connected() []string {
	var names []string
	for _, f := range r.recv.Feeds() {
		if f.Brief().Connected {
			names = append(names, f.Name())
		}
	}
	return names
}

// seek looks for a receiver on the local network for a sender that has no address:
// the one that is named, or the only one there. Nil means that there is none yet,
// and others are who answered in its place.
func seek(ctx context.Context, name string) (r *discover.Receiver, others []discover.Receiver, err error) {
	ctx, cancel := context.WithTimeout(ctx, discover.Search)
	defer cancel()
	found, _ := discover.Find(ctx, name) // a machine may be up before its network
	if name != "" {
		return wanted(found, name), found, nil
	}
	if len(found) > 1 {
		return nil, found, usagef("choose one: --receiver "+found[0].Name, "there are %d receivers: %s", len(found), named(found))
	}
	if len(found) == 1 {
		r = &found[0]
	}
	return r, nil, nil
}

// ask has somebody at a terminal choose one of several receivers, by its number or name.
func ask(ctx context.Context, in io.Reader, out io.Writer, found []discover.Receiver) (*discover.Receiver, error) {
	for i := range found {
		fmt.Fprintf(out, "%3d  %s\n", i+1, &found[i])
	}
	answers := make(chan string)
	go func() { // ends with the input, or with the program if nobody answers
		defer close(answers)
		for lines := bufio.NewScanner(in); lines.Scan(); {
			select {
			case answers <- strings.TrimSpace(lines.Text()):
			case <-ctx.Done():
				return
			}
		}
	}()
	for {
		fmt.Fprintf(out, "which receiver? [1–%d] ", len(found))
		select {
		case <-ctx.Done():
			fmt.Fprintln(out)
			return nil, context.Cause(ctx)
		case answer, ok := <-answers:
			if !ok {
				return nil, usagef("choose one: --receiver "+found[0].Name, "there are %d receivers: %s", len(found), named(found))
			}
			if r := wanted(found, answer); r != nil {
				return r, nil
			}
			if n, err := strconv.Atoi(answer); err == nil && n >= 1 && n <= len(found) {
				return &found[n-1], nil
			}
		}
	}
}

// wanted is the receiver of this name.
func wanted(found []discover.Receiver, name string) *discover.Receiver {
	if i := slices.IndexFunc(found, func(r discover.Receiver) bool { return r.Name == name }); i >= 0 {
		return &found[i]
	}
	return nil
}

func named(found []discover.Receiver) string {
	var all []string
	for _, r := range found {
		all = append(all, r.String())
	}
	return strings.Join(all, ", ")
}

// search gives a sender that has no address the receiver that it finds, and says so.
// While there is none, the search goes on: for the one that is named, else beside the
// origin's address.
func search(ctx context.Context, c *cli.Command, e *env, con *console, sc *stream.SenderConfig, how string) (string, error) {
	log := con.logger()
	name := c.String("receiver")
	if c.Args().Present() || c.IsSet("ip") {
		if name != "" {
			return "", usagef("leave one of them out", "--receiver %s: an address is given as well", name)
		}
		return how, nil
	}
	found, others, err := seek(ctx, name)
	if name == "" && len(others) > 1 && con.tty && isTerminal(e.stdin) {
		found, err = ask(ctx, e.stdin, con.out, others)
	}
	if err != nil {
		return "", err
	}
	known := c.String("token") != "" || c.String("token-file") != "" || c.String("tls-ca") != ""
	if found == nil {
		sc.Dial = discover.NewSeeker(dialPatience, name, chooser(name, known, log)).DialContext
		if name == "" {
			return how + ", and searching on", nil
		}
		sc.Address = name
		hint := "is it running, and on this network? `framepipe devices --network` lists receivers; an address always works"
		if len(others) > 0 {
			hint = "there is " + named(others)
		}
		log.Warn(fmt.Sprintf("no receiver %q answered within %v: searching on", name, discover.Search), "hint", hint)
		return "", nil
	}
	if found.Token && !known {
		return "", &hinted{fmt.Errorf("the receiver %s lets in only who knows its token", found.Name), connectHint}
	}
	sc.Address = net.JoinHostPort(found.Addrs[0].String(), fmt.Sprint(found.Port))
	sc.Dial = discover.NewDialer(*found, dialPatience).DialContext
	return "no address given: found the receiver " + found.String(), nil
}

const (
	dialPatience = 3 * time.Second // of dialling one address
	connectHint  = "copy the connect string that it printed; it needs no search"
)

// chooser takes the receiver that a later search found, with a name only the one of
// that name; where it cannot, it says so once. Known is whether there is something to
// say to one that asks for a token.
func chooser(name string, known bool, log *slog.Logger) func([]discover.Receiver) *discover.Receiver {
	said := ""
	warn := func(text, hint string) *discover.Receiver {
		if text != said {
			said = text
			log.Warn(text, "hint", hint)
		}
		return nil
	}
	return func(found []discover.Receiver) *discover.Receiver {
		r := &found[0]
		if name != "" {
			r = wanted(found, name)
		}
		switch {
		case r == nil:
			return nil
		case name == "" && len(found) > 1:
			return warn(fmt.Sprintf("there are %d receivers now: %s", len(found), named(found)), "choose one: --receiver "+r.Name)
		case r.Token && !known:
			return warn("the receiver "+r.Name+" lets in only who knows its token", connectHint)
		}
		log.Info("found the receiver " + r.String())
		return r
	}
}

// networkDevices lists receivers and their cameras.
func networkDevices(ctx context.Context, e *env, asJSON bool) error {
	ctx, cancel := context.WithTimeout(ctx, discover.Search)
	defer cancel()
	found, err := discover.FindAll(ctx)
	if err != nil {
		return err
	}
	if !asJSON {
		printReceivers(e.stdout, found)
		return nil
	}
	if found == nil {
		found = []discover.Receiver{}
	}
	return writeJSON(e.stdout, found)
}

// printReceivers lists what was found on the network.
func printReceivers(w io.Writer, found []discover.Receiver) {
	if len(found) == 0 {
		fmt.Fprintln(w, "no receiver answered on the local network; those that listen on loopback only, or with --announce \"\", do not")
	}
	for i := range found {
		r := &found[i]
		fmt.Fprintf(w, "receiver %s, framepipe %s\n  framepipe send --receiver %q\n", r, cmp.Or(r.Version, "(unknown version)"), r.Name)
		if r.Page != "" {
			fmt.Fprintf(w, "  page %s\n", r.Page)
		}
		if len(r.Cameras) > 0 {
			fmt.Fprintf(w, "  cameras %s\n", strings.Join(r.Cameras, ", "))
		}
	}
}

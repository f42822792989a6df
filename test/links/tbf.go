package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"

	"framepipe/internal/netem"
)

// errNotHere marks what this machine cannot measure.
var errNotHere = errors.New("not possible on this machine")

// The addresses of a link's namespaces on the way through the router.
var tbfAddrs = [2]netip.Addr{netip.MustParseAddr("10.78.0.1"), netip.MustParseAddr("10.78.1.1")}

// routeThroughTBF joins the namespaces of a link by another way than the
// emulator: a third one routes between them and shapes what goes to side B with
// the kernel's token bucket (tc-tbf(8)), as a home's router does. It is the check
// on the emulator by something that is not ours. The function that it returns
// removes the router.
func routeThroughTBF(link *netem.Link) (remove func() error, err error) {
	// The name is one that netem removes if this process dies.
	router := fmt.Sprintf("fpnetem-%d-router", os.Getpid())
	if err := tool("ip", "netns", "add", router); err != nil {
		return nil, err
	}
	remove = func() error { return tool("ip", "netns", "del", router) }
	a, b := link.A.Namespace, link.B.Namespace
	commands := []string{
		"ip -n " + router + " link add toA type veth peer name tbf0 netns " + a,
		"ip -n " + router + " link add toB type veth peer name tbf0 netns " + b,
		"ip netns exec " + router + " sysctl -qw net.ipv4.ip_forward=1",
		"tc -n " + router + " qdisc add dev toB root tbf rate 35mbit burst 16kb limit 1000000",
	}
	for i, ns := range []string{a, b} {
		own := tbfAddrs[i]
		gateway := own.Next()
		commands = append(commands,
			fmt.Sprintf("ip -n %s addr add %v/30 dev tbf0", ns, own),
			fmt.Sprintf("ip -n %s link set tbf0 up", ns),
			fmt.Sprintf("ip -n %s addr add %v/30 dev to%c", router, gateway, 'A'+rune(i)),
			fmt.Sprintf("ip -n %s link set to%c up", router, 'A'+rune(i)),
			fmt.Sprintf("ip -n %s route add %v via %v", ns, tbfAddrs[1-i], gateway))
	}
	for _, c := range commands {
		words := strings.Fields(c)
		if err := tool(words[0], words[1:]...); err != nil {
			return nil, errors.Join(fmt.Errorf("%w: %w", errNotHere, err), remove())
		}
	}
	return remove, nil
}

func tool(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

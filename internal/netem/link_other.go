//go:build !linux

package netem

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"runtime"
	"time"
)

// Link cannot be made on this system; New says so.
type Link struct{ A, B End }

// New fails: network namespaces and TUN devices are Linux's.
func New(Config) (*Link, error) {
	return nil, Possible()
}

// Possible is nil where links can be made.
func Possible() error {
	return fmt.Errorf("link emulation needs Linux (network namespaces); this is %s", runtime.GOOS)
}

func (*Link) CPU() (time.Duration, error) { panic("netem: no link") }

func (*Link) Run(context.Context) error                                      { panic("netem: no link") }
func (*Link) Close() error                                                   { panic("netem: no link") }
func (*Link) Stats() Stats                                                   { panic("netem: no link") }
func (*Link) Do(Side, func() error) error                                    { panic("netem: no link") }
func (*Link) Exec(context.Context, Side, string, ...string) *exec.Cmd        { panic("netem: no link") }
func (*Link) ListenIn(Side, string, string) (net.Listener, error)            { panic("netem: no link") }
func (*Link) DialIn(context.Context, Side, string, string) (net.Conn, error) { panic("netem: no link") }

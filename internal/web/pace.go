package web

import (
	"context"
	"net"
	"time"

	"framepipe/internal/tcpq"
)

// pacer keeps what a viewer is sent fresh, as stream's gated policy does: little
// waits in the kernel, and the next frame is chosen only when that has drained.
// Without it a viewer behind a slow link watches what was captured a full socket
// buffer ago. Every way of watching that goes on for long has one; it is owned by
// the goroutine that writes.
type pacer struct {
	gate     *tcpq.Gate
	patience *time.Timer // closes the connection
	longest  time.Duration
}

// newPacer sets up a viewer's connection, and closes it when the viewer takes
// nothing for so long. Systems that refuse an option are gone on without: the rest
// still helps.
func newPacer(conn net.Conn, patience time.Duration) *pacer {
	_ = tcpq.SetCongestion(conn, "bbr")
	_ = tcpq.SetNotsentLowat(conn, tcpq.NotsentLowat)
	p := &pacer{gate: tcpq.NewGate(conn), longest: patience}
	// Who takes nothing at all would otherwise be waited for for ever: at the gate
	// there is no write whose deadline could pass.
	p.patience = time.AfterFunc(patience, func() { conn.Close() })
	p.patience.Stop()
	return p
}

// wait returns when the newest frame may be taken.
func (p *pacer) wait(ctx context.Context) error {
	if p.gate.Ready() { // nearly always: no timer need be set
		return ctx.Err()
	}
	p.patience.Reset(p.longest)
	defer p.patience.Stop()
	return p.gate.Wait(ctx)
}

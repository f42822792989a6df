package stream

import "context"

// open returns when the next frame may be taken from the mailbox. Until then the
// camera's newest frame waits there, where it can still be replaced.
func (c *senderConn) open(ctx context.Context, p Policy) error {
	for p.inFlight > 0 && c.flight.len() >= p.inFlight {
		select {
		case <-c.flight.room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if !p.gated {
		return nil
	}
	return c.gate.Wait(ctx)
}

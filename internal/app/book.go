package app

import (
	"net"

	"github.com/urfave/cli/v3"

	"framepipe/internal/records"
	"framepipe/stream"
)

// openBook opens what is kept of the cameras' records. A receiver on whatever port is
// free is not started again in the same place, so it keeps them only if it is told where.
func (r *receiving) openBook(c *cli.Command, cfg *stream.ReceiverConfig) {
	_, port, _ := net.SplitHostPort(c.String("listen"))
	if !c.Bool("keep-records") || port == "0" && c.String("state") == "" {
		return
	}
	dir, err := stateDir(c)
	if err != nil {
		r.log.Warn("records are not kept across a restart", "cause", err)
		return
	}
	r.book = records.Open(records.Config{Dir: dir, Cameras: cfg.MaxCameras, Each: stream.KeptRecords, Log: r.log})
	if r.book == nil {
		return
	}
	go r.book.Run() // Close awaits it
	cfg.Earlier = r.book.Earlier
}

package app

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/urfave/cli/v3"

	"framepipe/frame"
	"framepipe/internal/bus"
	"framepipe/stream"
)

func busFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "bus", Usage: "share cameras with other receivers over NATS at `URL`, nats://host:4222, several with commas between"},
		&cli.StringFlag{Name: "bus-name", Usage: "this receiver's `NAME` on the bus", DefaultText: "as --announce"},
		&cli.StringFlag{Name: "bus-creds", Usage: "`FILE` with NATS credentials"},
		&cli.StringFlag{Name: "bus-ca", Usage: "trust servers of the bus whose certificate one in `FILE` vouches for (tls://)"},
		&cli.StringFlag{Name: "bus-cert", Usage: "`FILE` of our own certificate for the bus (PEM), where its servers demand one"},
		&cli.StringFlag{Name: "bus-key", Usage: "`FILE` of its key (PEM)"},
		&cli.StringSliceFlag{Name: "from-bus", Usage: "take cameras of other receivers: RECEIVER or RECEIVER/CAMERA, with * and ?; may be repeated"},
		&cli.DurationFlag{Name: "bus-keep", Usage: "have JetStream keep the frames of so long (snapshot?ago=10s); 0 = none"},
		&cli.IntFlag{Name: "bus-replicas", Value: 1, Usage: "on how many servers of a cluster they are kept, 1 to 5; with 3 they outlive a server"},
	}
}

// busConfig reads busFlags; nil is no bus.
func (r *receiving) busConfig(c *cli.Command, maxFrame int) (*bus.Config, error) {
	b := &bus.Config{URL: c.String("bus"), Creds: c.String("bus-creds"), Name: cmp.Or(c.String("bus-name"), c.String("announce"), thisReceiver()),
		CA: c.String("bus-ca"), Cert: c.String("bus-cert"), Key: c.String("bus-key"),
		Take: c.StringSlice("from-bus"), Keep: c.Duration("bus-keep"), Replicas: c.Int("bus-replicas"), MaxFrame: maxFrame, Log: r.log}
	if b.URL == "" {
		for _, f := range []string{"bus-name", "bus-creds", "bus-ca", "bus-cert", "bus-key", "from-bus", "bus-keep", "bus-replicas"} {
			if c.IsSet(f) {
				return nil, usagef("add --bus nats://HOST", "--%s needs --bus", f)
			}
		}
		return nil, nil
	}
	if err := bus.Check(b.Take); err != nil {
		return nil, usagef("as --from-bus studio or --from-bus 'studio/*'", "--from-bus: %w", err)
	}
	if b.Keep < 0 || b.Keep > 0 && b.Keep < time.Second {
		return nil, usagef("", "--bus-keep %v: use 1s or more", b.Keep)
	}
	switch {
	case b.Replicas < 1 || b.Replicas > 5:
		return nil, usagef("", "--bus-replicas %d: use 1 to 5", b.Replicas)
	case (b.Cert == "") != (b.Key == ""):
		return nil, usagef("", "--bus-cert and --bus-key belong together")
	}
	return b, nil
}

// joinBus connects, before any camera is accepted.
func (r *receiving) joinBus() error {
	if r.busTo == nil {
		return nil
	}
	r.busTo.Receiver = r.recv
	b := bus.New(*r.busTo)
	if err := b.Connect(); err != nil {
		hint := "is nats-server running there? --bus nats://HOST:4222"
		if errors.Is(err, nats.ErrAuthorization) {
			hint = "name and password go into the URL, nats://NAME:PASSWORD@HOST; or use --bus-creds"
		} else if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
			hint = "--bus-ca FILE names who vouches for the servers' certificates"
		}
		return &hinted{err, hint}
	}
	r.bus = b
	return nil
}

// runBus runs the bus until ctx ends.
func (r *receiving) runBus(ctx context.Context) {
	if err := r.bus.Run(ctx); err != nil {
		r.log.Error("the bus is not used", "cause", err)
	}
}

// past gives web the bus's memory; nil without one.
func (r *receiving) past() func(context.Context, *stream.Feed, time.Duration) (*frame.Frame, error) {
	if r.bus == nil {
		return nil
	}
	return r.bus.Past
}

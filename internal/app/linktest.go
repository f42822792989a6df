package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"framepipe/frame"
	"framepipe/internal/doctor"
	"framepipe/internal/tcpq"
	"framepipe/mjpeg"
	"framepipe/pixfmt"
	"framepipe/stream"
	"framepipe/wire"
)

// The link's test sends as much as the link takes for a while, first in the way of
// ordinary programs and then in ours, and looks how much longer a round trip takes
// meanwhile: the queue that grows then is what delays pictures on weak links.
const (
	linkIdle     = time.Second
	linkLoaded   = 3 * time.Second
	linkSettle   = time.Second // of linkLoaded, left out
	linkLook     = 10 * time.Millisecond
	linkClockBad = 10 * time.Millisecond
	linkBad      = 100 * time.Millisecond // more than this beyond the idle round trip is a queue that people see
)

// loaded is what was seen while sending in one way.
type loaded struct {
	congestion string
	rtt        time.Duration // median of the kernel's smoothed round trip
	rate       float64       // bytes/s that arrived
}

// linkTest measures the way to a receiver. The receiver sees a camera named after
// this test for some seconds.
func linkTest(ctx context.Context, sc stream.SenderConfig) []doctor.Finding {
	f := doctor.Finding{Check: "link", Level: doctor.Unknown}
	if sc.Address == "" {
		f.Text = "no receiver was given"
		return []doctor.Finding{f}
	}
	host, _ := os.Hostname()
	sc.Name, sc.Host = "doctor-"+cmp.Or(host, "camera"), host
	sc.Retry, sc.Log = 5*time.Second, slog.New(slog.DiscardHandler)
	sc.State = func() wire.StateText {
		return wire.StateText{Mode: "sequence", Port: "video", Format: "jpeg", Width: linkWidth, Height: linkHeight}
	}
	idle, ways, err := linkRun(ctx, sc)
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		f.Text = "only Linux tells how a connection fares"
		return []doctor.Finding{f}
	case err != nil:
		f.Level, f.Text = doctor.Fail, fmt.Sprintf("%s cannot be sent to: %v", sc.Address, err)
		f.Fix = "start `framepipe receive` there, and open its port in the firewall"
		return []doctor.Finding{f}
	}
	ms := func(d time.Duration) float64 { return d.Seconds() * 1e3 }
	plain, ours := ways[0], ways[1]
	rate := max(plain.rate, ours.rate)
	f.Level = doctor.OK
	f.Text = fmt.Sprintf("%s: %.1f Mbit/s, round trip %.1f ms when idle; as much as possible at once makes that %.0f ms in the way of ordinary programs (%s), %.0f ms in framepipe's (%s)",
		sc.Address, rate*8/1e6, ms(idle), ms(plain.rtt), plain.congestion, ms(ours.rtt), ours.congestion)
	switch {
	case ours.rtt-idle > linkBad:
		f.Level = doctor.Warn
		f.Text += ": a queue on the way delays whatever is sent"
		f.Fix = "framepipe send --target-latency 80ms …; a router with smart queue management (SQM, fq_codel or CAKE); `sudo iw dev wlan0 set power_save off`; less distance"
	case plain.rtt-idle > linkBad:
		f.Level = doctor.Info
		f.Text += ": other programs' pictures get old here; the default --policy gated keeps ours fresh"
	}
	size := doctor.Finding{Check: "link-size", Level: doctor.Info,
		Text: fmt.Sprintf("30 frames a second fit through if each has %.0f kB at most (raw 320x240 yuv has 115, a JPEG of 640x480 about 20 to 75)", 0.85*rate/30/1e3)}
	return []doctor.Finding{f, size, linkClock(idle)}
}

// linkClock says how well the clocks of both sides can be related here: to half of
// the shortest round trip, as package clocksync bounds it.
func linkClock(idle time.Duration) doctor.Finding {
	f := doctor.Finding{Check: "link-clock", Level: doctor.OK,
		Text: fmt.Sprintf("delays between the two machines will be known to about ±%.2g ms, half the shortest round trip", idle.Seconds()*1e3/2)}
	if idle/2 > linkClockBad {
		f.Level = doctor.Warn
		f.Text += ": too coarse to judge a latency by"
		f.Fix = "a cable, or less distance; framepipe glass measures by one clock"
	}
	return f
}

const linkWidth, linkHeight = 640, 480

// linkPicture is a JPEG of about 200 kB, most of it noise: no link makes it smaller.
func linkPicture() ([]byte, error) {
	n := pixfmt.Size(frame.I420, linkWidth, linkHeight, 0)
	raw := frame.New(make([]byte, n), nil)
	raw.Format, raw.Width, raw.Height, raw.Stride = frame.I420, linkWidth, linkHeight, linkWidth
	x := uint32(1)
	for i := range raw.Data {
		x = x*1664525 + 1013904223
		raw.Data[i] = byte(x >> 24)
	}
	return mjpeg.NewEncoder().Encode(nil, raw, 85)
}

func linkRun(ctx context.Context, sc stream.SenderConfig) (idle time.Duration, ways []loaded, err error) {
	picture, err := linkPicture()
	if err != nil {
		return 0, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var dialled atomic.Pointer[net.Conn]
	sc.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		var d net.Dialer
		c, err := d.DialContext(ctx, network, address)
		if err == nil {
			dialled.Store(&c)
		}
		return c, err
	}
	sc.Policy, _ = stream.ParsePolicy("block")
	sc.Congestion = "system"
	s := stream.NewSender(sc)
	ended := make(chan error, 1)
	run, stop := context.WithCancel(ctx)
	go func() { ended <- s.Run(run) }()
	defer func() {
		stop()
		if e := <-ended; err == nil || errors.Is(err, context.Canceled) {
			err = cmp.Or(e, err)
		}
	}()
	online := make(chan error, 1)
	go func() { online <- s.Mailbox().WaitOnline(run) }()
	select {
	case e := <-ended:
		ended <- e
		return 0, nil, cmp.Or(e, io.EOF)
	case e := <-online:
		if e != nil {
			return 0, nil, e
		}
	}
	probe := tcpq.NewProbe(*dialled.Load())
	if probe == nil {
		return 0, nil, errors.ErrUnsupported
	}
	f := frame.New(picture, nil)
	for i, policy := range []string{"block", "gated"} {
		p, _ := stream.ParsePolicy(policy)
		s.SetPolicy(p)
		if i > 0 {
			s.SetCongestion("")
		}
		if err := sleep(ctx, linkIdle); err != nil { // what is on the way arrives
			return 0, nil, err
		}
		way, least, err := linkLoad(ctx, s, probe, f)
		if err != nil {
			return 0, nil, err
		}
		way.congestion = cmp.Or(s.Congestion(), "unknown congestion control")
		ways, idle = append(ways, way), least
	}
	return idle, ways, nil
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// linkLoad sends all that goes, and looks at the connection meanwhile.
func linkLoad(ctx context.Context, s *stream.Sender, probe tcpq.Probe, f *frame.Frame) (way loaded, least time.Duration, err error) {
	busy, done := context.WithCancel(ctx)
	filled := make(chan struct{})
	go func() {
		defer close(filled)
		for busy.Err() == nil {
			if s.Mailbox().WaitIdle(busy, true) != nil {
				return
			}
			c := frame.New(f.Data, nil)
			c.Format, c.Width, c.Height = frame.JPEG, linkWidth, linkHeight
			c.Captured, c.StampKind = frame.SenderNow(), frame.StampTick
			c.Dequeued, c.Encoded = c.Captured, c.Captured
			c.Seq = s.Stats().Counts.Offered + 1
			c.Counts.Offered = c.Seq
			s.Mailbox().Put(c)
		}
	}()
	defer func() { done(); <-filled }()
	if err := sleep(ctx, linkSettle); err != nil {
		return way, 0, err
	}
	var rtts []time.Duration
	began := time.Now()
	first, err := probe.Info()
	last := first
	for time.Since(began) < linkLoaded-linkSettle && err == nil {
		if err = sleep(ctx, linkLook); err == nil {
			last, err = probe.Info()
			rtts = append(rtts, time.Duration(last.RTT)*time.Microsecond)
		}
	}
	if err != nil {
		return way, 0, err
	}
	slices.Sort(rtts)
	way.rtt = rtts[len(rtts)/2]
	way.rate = float64(last.Acked-first.Acked) / time.Since(began).Seconds()
	return way, time.Duration(last.MinRTT) * time.Microsecond, nil
}

package v4l2src

import (
	"time"

	"framepipe/frame"
	"framepipe/v4l2"
)

// A stamp counts as being of a clock if it lies this far around the clock's
// present reading, at the most: the past side allows for long exposures and for
// a consumer that was away.
const (
	stampFuture = 2 * time.Second
	stampPast   = 30 * time.Second
)

// stampSlack is how much later than its dequeueing a frame may claim to have
// been captured, for the rounding of two clocks, before the claim is rejected.
const stampSlack = 2 * time.Millisecond

type clockKind uint8

const (
	clockUndecided clockKind = iota
	clockMonotonic
	clockRealtime
	clockUnusable
)

// stamper finds out which clock a driver's stamps are really of, whatever its
// flags say (uvcvideo's clock=CLOCK_REALTIME does not change them), and converts.
type stamper struct {
	clock    clockKind
	realtime func() int64 // CLOCK_REALTIME in ns
	ahead    int64        // the furthest that a stamp lay in the future, in ns
}

func plausible(ts, now int64) bool {
	return ts > 0 && ts <= now+int64(stampFuture) && ts >= now-int64(stampPast)
}

// stamp gives a buffer's moment of capture on the monotonic clock, and which
// instant that is. now is the monotonic clock at dequeueing.
func (s *stamper) stamp(b *v4l2.Buffer, now int64) (frame.SenderTime, frame.StampKind) {
	ts := b.Timestamp
	if s.clock == clockUndecided {
		switch {
		case plausible(ts, now):
			s.clock = clockMonotonic
		case plausible(ts, s.realtime()):
			s.clock = clockRealtime
		default:
			s.clock = clockUnusable
		}
	}
	switch s.clock {
	case clockUnusable:
		return frame.SenderTime(now), frame.StampArrival
	case clockRealtime:
		ts += now - s.realtime() // anew for each frame: this clock may be set
	}
	// vivid stamps the end of a frame that it delivers at its start.
	s.ahead = max(s.ahead, ts-now)
	if !plausible(ts, now) || ts > now+int64(stampSlack) {
		return frame.SenderTime(now), frame.StampArrival
	}
	kind := frame.StampEnd
	if b.StartOfExposure() {
		kind = frame.StampStart
	}
	return frame.SenderTime(min(ts, now)), kind
}

package v4l2src

import (
	"time"

	"framepipe/frame"
	"framepipe/v4l2"
)

// A stamp counts as being of a clock if it lies this far around the clock's
// present reading: the future side allows for interpolated hardware stamps, the
// past side for long exposures and a consumer that was away.
const (
	stampFuture = 50 * time.Millisecond
	stampPast   = 30 * time.Second
)

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
	if s.clock == clockRealtime {
		ts += now - s.realtime() // anew for each frame: this clock may be set
	}
	if s.clock == clockUnusable || !plausible(ts, now) {
		return frame.SenderTime(now), frame.StampArrival
	}
	kind := frame.StampEnd
	if b.StartOfExposure() {
		kind = frame.StampStart
	}
	return frame.SenderTime(min(ts, now)), kind
}

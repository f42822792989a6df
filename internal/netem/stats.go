package netem

import (
	"fmt"
	"time"
)

// MaxLateness is how late the emulator may be before a run is spoiled.
const MaxLateness = 50 * time.Millisecond

// PathStats counts the packets of one direction. In is the sum of all others but
// those still on their way.
type PathStats struct {
	In        uint64 // IPv4 packets that arrived
	InBytes   uint64
	Delivered uint64
	Dropped   uint64 // the queue was full
	Lost      uint64 // by random loss
	LostBurst uint64
	LostAway  uint64 // during an outage, or because the receiving device was down
	Other     uint64 // not IPv4 and thrown away; not part of In
	MaxQueue  int    // bytes
}

// Stats is what happened on a link since it began.
type Stats struct {
	AB, BA   PathStats
	Lateness time.Duration // the latest that the emulator ever was
}

// Spoiled reports whether the run's timing is not to be trusted.
func (s Stats) Spoiled() bool { return s.Lateness > MaxLateness }

func (s PathStats) String() string {
	return fmt.Sprintf("%d packets in, %d delivered, %d dropped by the queue (at most %d bytes), lost: %d at random, %d in bursts, %d in outages",
		s.In, s.Delivered, s.Dropped, s.MaxQueue, s.Lost, s.LostBurst, s.LostAway)
}

func (s Stats) String() string {
	text := fmt.Sprintf("A to B: %v; B to A: %v; lateness %v", s.AB, s.BA, s.Lateness)
	if s.Spoiled() {
		text += fmt.Sprintf(" (spoiled: more than %v)", MaxLateness)
	}
	return text
}

// count enters a packet's fate.
func (s *PathStats) count(f fate, size int) {
	s.In++
	s.InBytes += uint64(size)
	switch f {
	case droppedQueue:
		s.Dropped++
	case lostRandom:
		s.Lost++
	case lostBurst:
		s.LostBurst++
	case lostOutage:
		s.LostAway++
	}
}

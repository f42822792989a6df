package frame

// Cause says why a frame that the camera produced was not delivered.
type Cause uint8

// The causes, in the order of a frame's way. Those before SenderCauses are
// counted on the camera's machine and travel with each frame; the rest are
// counted by the receiver.
const (
	LostGap         Cause = iota // the driver never handed it over: its sequence number is missing
	LostDriverError              // the driver flagged it as damaged, or it was short or empty
	LostCorrupt                  // its JPEG could not be repaired, or it could not be converted
	LostEncoderBusy              // it was ready while an older one was still being converted or encoded
	LostStale                    // a newer one replaced it before it could be sent
	LostDeadline                 // it grew older than the deadline policy allows
	LostOffline                  // it was ready while no receiver was connected
	SenderCauses                 // number of causes that a sender counts
)

// Causes that only the receiver can count.
const (
	LostConnection = SenderCauses + iota // given to a connection and never completely received
	LostReceiver                         // received, but refused: a duplicate, out of order, or malformed
	LostBus                              // reached another receiver, and not this one over the bus between them
	NumCauses
)

var causeNames = [NumCauses]string{
	"driver_gap", "driver_error", "corrupt", "encoder_busy", "stale", "deadline", "offline", "connection", "receiver", "bus",
}

func (c Cause) String() string {
	if c < NumCauses {
		return causeNames[c]
	}
	return "unknown"
}

// Counts is the sender's half of the ledger, cumulative since the sender
// started. The copy that travels with a frame describes the state of things at
// that frame: every earlier frame is in exactly one place, later ones in none,
// so that
//
//	Offered == Sent + sum of Lost
//
// holds exactly, the frame itself being the last of Sent.
type Counts struct {
	Offered uint64               // frames the camera is known to have produced (missing sequence numbers included)
	Sent    uint64               // frames given to a connection, whether or not they arrived
	Lost    [SenderCauses]uint64 // by cause
}

// LostTotal adds up all causes.
func (c *Counts) LostTotal() uint64 {
	var n uint64
	for _, v := range c.Lost {
		n += v
	}
	return n
}

// Imbalance is Offered - Sent - LostTotal: zero when no frame is unaccounted for.
func (c *Counts) Imbalance() int64 { return int64(c.Offered - c.Sent - c.LostTotal()) }

// Add adds d to c, field by field.
func (c *Counts) Add(d Counts) {
	c.Offered += d.Offered
	c.Sent += d.Sent
	for i := range c.Lost {
		c.Lost[i] += d.Lost[i]
	}
}

// Minus is c-d, field by field.
func (c Counts) Minus(d Counts) Counts {
	c.Offered -= d.Offered
	c.Sent -= d.Sent
	for i := range c.Lost {
		c.Lost[i] -= d.Lost[i]
	}
	return c
}

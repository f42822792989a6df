package app

import (
	"fmt"
	"strings"

	"framepipe/frame"
	"framepipe/stream"
)

// statusLine tells how all cameras fare now, in one line.
func (r *receiving) statusLine() string {
	feeds := r.recv.Feeds()
	if len(feeds) == 0 {
		return "no camera yet"
	}
	var parts []string
	for _, f := range feeds {
		s := f.Status()
		if !s.Connected {
			parts = append(parts, s.Name+": "+s.Cause)
			continue
		}
		text := fmt.Sprintf("%s: %.1f fps %.1f Mbit/s", s.Name, s.Live.FPS, s.Live.Mbit)
		if rec := s.Live.Record; rec != nil {
			text += fmt.Sprintf(", record %d %.0f s", rec.Number, rec.Elapsed)
			if rec.Latency != nil {
				text += fmt.Sprintf(", latency p50 %.1f ms", rec.Latency.P50)
			}
		}
		if s.Live.Age != nil {
			text += fmt.Sprintf(", age %.0f ms", *s.Live.Age)
		}
		parts = append(parts, text+fmt.Sprintf(", lost %d", s.Live.Offered-s.Live.Delivered))
	}
	return strings.Join(parts, " | ")
}

// finalLine tells how a camera fared in all: the ledger.
func (r *receiving) finalLine(f *stream.Feed) {
	l := f.Meter.Ledger()
	text := fmt.Sprintf("%s: %d frames offered, %d delivered, %d lost", f.Name(), l.Offered, l.Delivered, l.LostTotal())
	var lost []string
	for c, n := range l.Lost {
		if n > 0 {
			lost = append(lost, fmt.Sprintf("%s %d", strings.ReplaceAll(frame.Cause(c).String(), "_", " "), n))
		}
	}
	if len(lost) > 0 {
		text += " (" + strings.Join(lost, ", ") + ")"
	}
	if n := l.Imbalance(); n != 0 {
		text += fmt.Sprintf("; %d UNACCOUNTED FOR: this is a bug", n)
	}
	r.log.Info(text)
}

package app

import (
	"time"

	"framepipe/frame"
)

// heardWithin is how often a camera says something, were it only an answer to a ping.
const heardWithin = 10 * time.Second

// look is for the service manager's watchdog: frames that were delivered. A camera
// that is connected and delivers none has a reason if it is known to be broken, or talks to us and
// has none to offer; v0 cameras do not tell.
func (r *receiving) look() func() vigil {
	offered := map[string]uint64{}
	return func() vigil {
		v, now := vigil{excuse: true}, frame.ReceiverNow()
		for _, f := range r.recv.Feeds() {
			st := f.Status()
			v.frames += st.Live.Delivered
			more := st.Live.Offered > offered[st.Name]
			offered[st.Name] = st.Live.Offered
			if fps := st.Camera.FPS; fps > 0 {
				v.period = max(v.period, time.Duration(float64(time.Second)/fps))
			}
			if !st.Connected || st.Wire == "v0" || st.Camera.Error != "" {
				continue
			}
			if heard := f.Heard(); more || heard != 0 && now.Sub(heard) > heardWithin {
				v.excuse = false
			}
		}
		return v
	}
}

// Package metrics shows a receiver to monitoring systems: /metrics in
// Prometheus' text format or, where it is asked for, OpenMetrics. Names and units
// follow Prometheus' conventions (base units, _total for what only grows);
// docs/operations.md lists them.
//
// Nothing is kept here: a scrape reads what the meters have counted anyway and
// copies it, holding each meter's lock for some hundred nanoseconds. Between scrapes
// it costs nothing. Series are those of the cameras that the receiver knows, of
// which there are at most --max-cameras; those of a camera that it forgot are gone
// with the next scrape.
package metrics

import (
	"framepipe/frame"
	"framepipe/internal/record"
	"framepipe/measure"
	"framepipe/stream"
)

// Source is where figures come from. Nil functions have none.
type Source struct {
	Version     string
	Feeds       func() []*stream.Feed
	Recorder    *record.Manager       // nil = nothing is recorded
	Accepting   func() bool           // cameras are accepted now
	Conns       func() int            // connections of cameras
	Viewers     func() int            // connections of HTTP
	Limits      func() []stream.Limit // of the cameras' port
	ViewLimits  func() []stream.Limit // of the HTTP port
	WrongTokens func() uint64
	NotKept     func() uint64 // records that the disk did not take
}

func ours(k kind, name, help string, labels ...string) *family {
	return declare(k, "framepipe_"+name, help, labels...)
}

func ofCamera(k kind, name, help string, more ...string) *family {
	return ours(k, name, help, append([]string{"camera"}, more...)...)
}

var (
	build       = ours(gauge, "build_info", "The program that runs.", "version", "goversion")
	accepting   = ours(gauge, "accepting", "1 while cameras are accepted.")
	cameras     = ours(gauge, "cameras", "Cameras known, connected or not.")
	connections = ours(gauge, "connections", "Connections at the port of the cameras and at that of the viewers.", "port")
	limitHits   = ours(counter, "limit_hits_total", "How often a limit was reached, by the flag that sets it.", "port", "limit")
	wrongTokens = ours(counter, "wrong_tokens_total", "Wrong tokens shown to any port.")
	notKept     = ours(counter, "records_not_kept_total", "Records that will be forgotten with a restart: the disk did not take them.")

	connected   = ofCamera(gauge, "camera_connected", "1 while the camera is connected.")
	disconnects = ofCamera(counter, "camera_disconnects_total", "Connections that ended without another one taking over.")
	cameraInfo  = ofCamera(gauge, "camera_info", "Who sends, while it is connected.", "wire", "software", "host")
	modeInfo    = ofCamera(gauge, "stream_info", "What is in force at a connected camera, as it reports it.", "mode", "port", "format", "codec", "policy", "congestion", "adapting")
	width       = ofCamera(gauge, "picture_width_pixels", "Width of the newest frame.")
	height      = ofCamera(gauge, "picture_height_pixels", "Height of the newest frame.")
	quality     = ofCamera(gauge, "jpeg_quality", "JPEG quality in force, 1 to 100; absent where the camera's own pictures are passed on.")
	nominal     = ofCamera(gauge, "camera_frames_per_second", "Frame rate that the camera was set to; the real one is rate(framepipe_frames_total).")
	gate        = ofCamera(gauge, "gate_bytes", "Bytes that may be queued at the sender when its next frame is taken.")

	offered     = ofCamera(counter, "frames_offered_total", "Frames that the camera is known to have produced.")
	frames      = ofCamera(counter, "frames_total", "Where they ended: delivered, or lost for one cause.", "outcome", "cause")
	unaccounted = ofCamera(gauge, "frames_unaccounted", "Frames that nobody can account for; anything but 0 is a bug.")
	frameBytes  = ofCamera(counter, "frame_bytes_total", "Bytes of delivered frames.")
	unreadable  = ofCamera(counter, "unreadable_frames_total", "Frames of a v0 camera that are neither JPEG nor raw pictures of the expected size.")
	latency     = ofCamera(histogram, "frame_latency_seconds", "From capture to delivery, of frames whose clock is related to ours.")
	stage       = ofCamera(histogram, "stage_duration_seconds", "Time of delivered frames in each stage of their way.", "stage")
	age         = ofCamera(gauge, "frame_age_seconds", "Age of the newest frame now.")
	freezes     = ofCamera(counter, "freezes_total", "Gaps between frames of three times the usual, and 150 ms beyond it.")
	clockError  = ofCamera(gauge, "clock_error_bound_seconds", "Bound on the error that the relation of the two clocks adds to frame_latency_seconds.")
	roundTrip   = ofCamera(gauge, "clock_round_trip_seconds", "Round trip of the last exchange of time.")
	viewers     = ofCamera(gauge, "viewers", "Viewers of the camera, recordings among them.")

	recording     = ofCamera(gauge, "recording", "1 while the camera is recorded.")
	recordFrames  = ofCamera(counter, "recording_frames_total", "Frames in the newest recording.")
	recordBytes   = ofCamera(counter, "recording_bytes_total", "Bytes of the newest recording.")
	recordLost    = ofCamera(counter, "recording_lost_frames_total", "Frames that the newest recording lost, by cause.", "cause")
	recordFailing = ofCamera(gauge, "recording_failing", "1 while the recording cannot be written.")
	recordWaiting = ofCamera(gauge, "recording_waiting_bytes", "Bytes that wait for the disk.")
)

// collect reads a Source.
func (p *page) collect(src *Source) {
	p.put(build, 1, src.Version, goVersion())
	if src.Accepting != nil {
		p.put(accepting, truth(src.Accepting()))
	}
	if src.Conns != nil {
		p.put(connections, float64(src.Conns()), "cameras")
	}
	if src.Viewers != nil {
		p.put(connections, float64(src.Viewers()), "http")
	}
	p.limits("cameras", src.Limits)
	p.limits("http", src.ViewLimits)
	if src.WrongTokens != nil {
		p.put(wrongTokens, float64(src.WrongTokens()))
	}
	if src.NotKept != nil {
		p.put(notKept, float64(src.NotKept()))
	}
	if src.Feeds == nil {
		return
	}
	feeds := src.Feeds()
	p.put(cameras, float64(len(feeds)))
	for _, f := range feeds {
		p.camera(f)
		if r := src.Recorder.Status(f); r != nil {
			p.recording(f.Name(), r)
		}
	}
}

func (p *page) limits(port string, of func() []stream.Limit) {
	if of == nil {
		return
	}
	for _, l := range of() {
		p.put(limitHits, float64(l.Hits), port, l.Name)
	}
}

func (p *page) camera(f *stream.Feed) {
	st, t := f.Brief(), f.Meter.Totals(frame.ReceiverNow())
	name := st.Name
	p.put(connected, truth(st.Connected), name)
	p.put(disconnects, float64(st.Breaks), name)
	p.ledger(name, &t)
	p.put(unaccounted, float64(t.Imbalance), name)
	if st.Wire == "v0" {
		p.put(unreadable, float64(st.Unreadable), name)
	}
	for i := range measure.NumStages {
		if i == measure.StageTotal {
			p.delays(latency, &t.Stages[i], name)
		} else {
			p.delays(stage, &t.Stages[i], name, i.String())
		}
	}
	if t.Age != nil { // it grows while a camera that said no goodbye is away
		p.put(age, t.Age.Seconds(), name)
	}
	p.put(viewers, float64(st.Viewers), name)
	if st.Connected {
		p.inForce(f, &st, &t)
	}
}

// inForce tells what holds only while a camera is connected.
func (p *page) inForce(f *stream.Feed, st *stream.Status, t *measure.Totals) {
	name, c := st.Name, &st.Camera
	p.put(cameraInfo, 1, name, st.Wire, st.Software, st.Host)
	p.put(modeInfo, 1, name, c.Mode, c.Port, c.Format, c.Codec, c.Policy, c.Congestion, c.Adapting)
	positive := func(m *family, v float64) {
		if v > 0 {
			p.put(m, v, name)
		}
	}
	positive(width, float64(t.Width))
	positive(height, float64(t.Height))
	positive(quality, float64(c.Quality))
	positive(nominal, c.FPS)
	positive(gate, float64(c.Gate))
	if o := f.Clock(); o.Known {
		p.put(clockError, o.Error.Seconds(), name)
	}
	if st.Clock != nil {
		p.put(roundTrip, st.Clock.RTTMs/1e3, name)
	}
}

func (p *page) ledger(name string, t *measure.Totals) {
	p.put(offered, float64(t.Ledger.Offered), name)
	p.put(frames, float64(t.Ledger.Delivered), name, "delivered", "")
	for c, n := range t.Ledger.Lost {
		p.put(frames, float64(n), name, "lost", frame.Cause(c).String())
	}
	p.put(frameBytes, float64(t.Bytes), name)
	p.put(freezes, float64(t.Freezes), name)
}

func (p *page) recording(name string, r *record.Status) {
	p.put(recording, truth(r.Recording), name)
	p.put(recordFrames, float64(r.Frames), name)
	p.put(recordBytes, float64(r.Bytes), name)
	for cause, n := range map[string]uint64{"busy": r.Lost.Busy, "slow": r.Lost.Slow, "full": r.Lost.Full, "error": r.Lost.Error, "bad": r.Lost.Bad} {
		p.put(recordLost, float64(n), name, cause)
	}
	p.put(recordFailing, truth(r.Error != ""), name)
	p.put(recordWaiting, float64(r.Waiting), name)
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

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
	"strings"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

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

// collector reads a Source at each scrape.
type collector struct{ src Source }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("framepipe_"+name, help, labels, nil)
}

func ofCamera(name, help string, more ...string) *prometheus.Desc {
	return desc(name, help, append([]string{"camera"}, more...)...)
}

var (
	build       = desc("build_info", "The program that runs.", "version", "goversion")
	accepting   = desc("accepting", "1 while cameras are accepted.")
	cameras     = desc("cameras", "Cameras known, connected or not.")
	connections = desc("connections", "Connections at the port of the cameras and at that of the viewers.", "port")
	limitHits   = desc("limit_hits_total", "How often a limit was reached, by the flag that sets it.", "port", "limit")
	wrongTokens = desc("wrong_tokens_total", "Wrong tokens shown to any port.")
	notKept     = desc("records_not_kept_total", "Records that will be forgotten with a restart: the disk did not take them.")

	connected   = ofCamera("camera_connected", "1 while the camera is connected.")
	disconnects = ofCamera("camera_disconnects_total", "Connections that ended without another one taking over.")
	cameraInfo  = ofCamera("camera_info", "Who sends, while it is connected.", "wire", "software", "host")
	modeInfo    = ofCamera("stream_info", "What is in force at a connected camera, as it reports it.", "mode", "port", "format", "codec", "policy", "congestion", "adapting")
	width       = ofCamera("picture_width_pixels", "Width of the newest frame.")
	height      = ofCamera("picture_height_pixels", "Height of the newest frame.")
	quality     = ofCamera("jpeg_quality", "JPEG quality in force, 1 to 100; absent where the camera's own pictures are passed on.")
	nominal     = ofCamera("camera_frames_per_second", "Frame rate that the camera was set to; the real one is rate(framepipe_frames_total).")
	gate        = ofCamera("gate_bytes", "Bytes that may be queued at the sender when its next frame is taken.")

	offered     = ofCamera("frames_offered_total", "Frames that the camera is known to have produced.")
	frames      = ofCamera("frames_total", "Where they ended: delivered, or lost for one cause.", "outcome", "cause")
	unaccounted = ofCamera("frames_unaccounted", "Frames that nobody can account for; anything but 0 is a bug.")
	frameBytes  = ofCamera("frame_bytes_total", "Bytes of delivered frames.")
	unreadable  = ofCamera("unreadable_frames_total", "Frames of a v0 camera that are neither JPEG nor raw pictures of the expected size.")
	latency     = ofCamera("frame_latency_seconds", "From capture to delivery, of frames whose clock is related to ours.")
	stage       = ofCamera("stage_duration_seconds", "Time of delivered frames in each stage of their way.", "stage")
	age         = ofCamera("frame_age_seconds", "Age of the newest frame now.")
	freezes     = ofCamera("freezes_total", "Gaps between frames of three times the usual, and 150 ms beyond it.")
	clockError  = ofCamera("clock_error_bound_seconds", "Bound on the error that the relation of the two clocks adds to frame_latency_seconds.")
	roundTrip   = ofCamera("clock_round_trip_seconds", "Round trip of the last exchange of time.")
	viewers     = ofCamera("viewers", "Viewers of the camera, recordings among them.")

	recording     = ofCamera("recording", "1 while the camera is recorded.")
	recordFrames  = ofCamera("recording_frames_total", "Frames in the newest recording.")
	recordBytes   = ofCamera("recording_bytes_total", "Bytes of the newest recording.")
	recordLost    = ofCamera("recording_lost_frames_total", "Frames that the newest recording lost, by cause.", "cause")
	recordFailing = ofCamera("recording_failing", "1 while the recording cannot be written.")
	recordWaiting = ofCamera("recording_waiting_bytes", "Bytes that wait for the disk.")
)

// Describe implements prometheus.Collector. It names nothing: which cameras there
// are is known only when asked.
func (c collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c collector) Collect(ch chan<- prometheus.Metric) {
	s := sink{ch: ch}
	src := &c.src
	s.gauge(build, 1, src.Version, goVersion())
	if src.Accepting != nil {
		s.gauge(accepting, truth(src.Accepting()))
	}
	if src.Conns != nil {
		s.gauge(connections, float64(src.Conns()), "cameras")
	}
	if src.Viewers != nil {
		s.gauge(connections, float64(src.Viewers()), "http")
	}
	s.limits("cameras", src.Limits)
	s.limits("http", src.ViewLimits)
	if src.WrongTokens != nil {
		s.counter(wrongTokens, float64(src.WrongTokens()))
	}
	if src.NotKept != nil {
		s.counter(notKept, float64(src.NotKept()))
	}
	if src.Feeds == nil {
		return
	}
	feeds := src.Feeds()
	s.gauge(cameras, float64(len(feeds)))
	for _, f := range feeds {
		s.camera(f)
		if r := src.Recorder.Status(f); r != nil {
			s.recording(f.Name(), r)
		}
	}
}

// sink writes metrics.
type sink struct{ ch chan<- prometheus.Metric }

func (s sink) put(d *prometheus.Desc, t prometheus.ValueType, v float64, labels []string) {
	for i, l := range labels {
		labels[i] = printable(l)
	}
	s.ch <- prometheus.MustNewConstMetric(d, t, v, labels...)
}

func (s sink) gauge(d *prometheus.Desc, v float64, labels ...string) {
	s.put(d, prometheus.GaugeValue, v, labels)
}

func (s sink) counter(d *prometheus.Desc, v float64, labels ...string) {
	s.put(d, prometheus.CounterValue, v, labels)
}

func (s sink) limits(port string, of func() []stream.Limit) {
	if of == nil {
		return
	}
	for _, l := range of() {
		s.counter(limitHits, float64(l.Hits), port, l.Name)
	}
}

func (s sink) camera(f *stream.Feed) {
	st, t := f.Brief(), f.Meter.Totals(frame.ReceiverNow())
	name := st.Name
	s.gauge(connected, truth(st.Connected), name)
	s.counter(disconnects, float64(st.Breaks), name)
	s.ledger(name, &t)
	s.gauge(unaccounted, float64(t.Imbalance), name)
	if st.Wire == "v0" {
		s.counter(unreadable, float64(st.Unreadable), name)
	}
	for i := range measure.NumStages {
		if i == measure.StageTotal {
			s.histogram(latency, &t.Stages[i], name)
		} else {
			s.histogram(stage, &t.Stages[i], name, i.String())
		}
	}
	if t.Age != nil { // it grows while a camera that said no goodbye is away
		s.gauge(age, t.Age.Seconds(), name)
	}
	s.gauge(viewers, float64(st.Viewers), name)
	if st.Connected {
		s.inForce(f, &st, &t)
	}
}

// inForce tells what holds only while a camera is connected.
func (s sink) inForce(f *stream.Feed, st *stream.Status, t *measure.Totals) {
	name, c := st.Name, &st.Camera
	s.gauge(cameraInfo, 1, name, st.Wire, st.Software, st.Host)
	s.gauge(modeInfo, 1, name, c.Mode, c.Port, c.Format, c.Codec, c.Policy, c.Congestion, c.Adapting)
	positive := func(d *prometheus.Desc, v float64) {
		if v > 0 {
			s.gauge(d, v, name)
		}
	}
	positive(width, float64(t.Width))
	positive(height, float64(t.Height))
	positive(quality, float64(c.Quality))
	positive(nominal, c.FPS)
	positive(gate, float64(c.Gate))
	if o := f.Clock(); o.Known {
		s.gauge(clockError, o.Error.Seconds(), name)
	}
	if st.Clock != nil {
		s.gauge(roundTrip, st.Clock.RTTMs/1e3, name)
	}
}

func (s sink) ledger(name string, t *measure.Totals) {
	s.counter(offered, float64(t.Ledger.Offered), name)
	s.counter(frames, float64(t.Ledger.Delivered), name, "delivered", "")
	for c, n := range t.Ledger.Lost {
		s.counter(frames, float64(n), name, "lost", frame.Cause(c).String())
	}
	s.counter(frameBytes, float64(t.Bytes), name)
	s.counter(freezes, float64(t.Freezes), name)
}

func (s sink) histogram(d *prometheus.Desc, of *measure.Delays, labels ...string) {
	buckets := make(map[float64]uint64, len(measure.DelayBounds))
	var n uint64
	for i, bound := range measure.DelayBounds {
		n += of.Counts[i]
		buckets[bound.Seconds()] = n
	}
	n += of.Counts[len(measure.DelayBounds)]
	if n > 0 {
		s.ch <- prometheus.MustNewConstHistogram(d, n, of.Sum.Seconds(), buckets, labels...)
	}
}

func (s sink) recording(name string, r *record.Status) {
	s.gauge(recording, truth(r.Recording), name)
	s.counter(recordFrames, float64(r.Frames), name)
	s.counter(recordBytes, float64(r.Bytes), name)
	for cause, n := range map[string]uint64{"busy": r.Lost.Busy, "slow": r.Lost.Slow, "full": r.Lost.Full, "error": r.Lost.Error, "bad": r.Lost.Bad} {
		s.counter(recordLost, float64(n), name, cause)
	}
	s.gauge(recordFailing, truth(r.Error != ""), name)
	s.gauge(recordWaiting, float64(r.Waiting), name)
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// printable makes a text of a peer fit for a label: valid UTF-8, and short.
func printable(s string) string {
	const most = 100
	n := min(len(s), most)
	for n > 0 && n < len(s) && !utf8.RuneStart(s[n]) {
		n--
	}
	return strings.ToValidUTF8(s[:n], "?")
}

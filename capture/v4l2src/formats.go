package v4l2src

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"framepipe/capture"
	"framepipe/frame"
	"framepipe/v4l2"
)

// natives are the V4L2 formats that can be used, and what frames of them are.
// Formats whose planes lie in separate memory (NM12 …) are not among them.
var natives = map[v4l2.FourCC]frame.FourCC{
	v4l2.MakeFourCC("MJPG"): frame.JPEG,
	v4l2.MakeFourCC("JPEG"): frame.JPEG,
	v4l2.MakeFourCC("YU12"): frame.I420,
	v4l2.MakeFourCC("NV12"): frame.NV12,
	v4l2.MakeFourCC("YUYV"): frame.YUYV,
	v4l2.MakeFourCC("UYVY"): frame.UYVY,
	v4l2.MakeFourCC("RGB3"): frame.RGB24,
	v4l2.MakeFourCC("BGR3"): frame.BGR24,
	v4l2.MakeFourCC("GREY"): frame.GREY,
}

// preference orders native formats by what it costs to make the wanted one from
// them, cheapest first. Grey comes last: it has no colour to give.
func preference(want frame.FourCC) []frame.FourCC {
	var first, rest []frame.FourCC
	switch want {
	case 0, frame.JPEG: // chroma that is already subsampled goes into a JPEG without arithmetic
		rest = []frame.FourCC{frame.JPEG, frame.YUYV, frame.NV12, frame.I420, frame.UYVY, frame.RGB24, frame.BGR24}
	case frame.RGB24, frame.BGR24:
		first = []frame.FourCC{want}
		rest = []frame.FourCC{frame.RGB24, frame.BGR24, frame.YUYV, frame.UYVY, frame.NV12, frame.I420, frame.JPEG}
	default:
		first = []frame.FourCC{want}
		rest = []frame.FourCC{frame.I420, frame.NV12, frame.YUYV, frame.UYVY, frame.RGB24, frame.BGR24, frame.JPEG}
	}
	order := first
	for _, f := range append(rest, frame.GREY) {
		if !slices.Contains(order, f) {
			order = append(order, f)
		}
	}
	return order
}

// fluent is the frame rate that the cheapest format must reach, where no rate is
// asked for, to be taken before a dearer one that is faster.
const fluent = 25

// catalog is what a device says it offers; *v4l2.Device is one.
type catalog interface {
	Formats() ([]v4l2.FormatDesc, error)
	FrameSizes(v4l2.FourCC) ([]v4l2.FrameSize, error)
	Intervals(f v4l2.FourCC, w, h int) ([]v4l2.Interval, error)
}

// choice is what will be asked of the driver.
type choice struct {
	native   v4l2.FourCC
	format   frame.FourCC
	w, h     int
	interval v4l2.Fraction // zero = leave it to the driver
	notes    []string
}

type candidate struct {
	choice
	distance int     // from the asked size
	rate     float64 // the highest on offer; 0 = unknown
	rank     int
}

// choose picks format, size and rate. current is what is set now, for sizes that
// nobody asked for.
func choose(cat catalog, cfg capture.Config, current v4l2.Format) (choice, error) {
	descs, err := cat.Formats()
	if err != nil {
		return choice{}, err
	}
	order := preference(cfg.Format)
	var cands []candidate
	for _, d := range descs {
		f, ok := natives[d.PixelFormat]
		if !ok || slices.ContainsFunc(cands, func(c candidate) bool { return c.native == d.PixelFormat }) {
			continue
		}
		c := candidate{choice: choice{native: d.PixelFormat, format: f}, rank: slices.Index(order, f)}
		sizes, err := cat.FrameSizes(d.PixelFormat)
		if err != nil {
			return choice{}, err
		}
		c.w, c.h, c.distance = pickSize(sizes, cfg, current)
		ivals, err := cat.Intervals(c.native, c.w, c.h)
		if err != nil {
			return choice{}, err
		}
		c.interval, c.rate = pickInterval(ivals, cfg.FPS)
		cands = append(cands, c)
	}
	if len(cands) == 0 {
		return choice{}, fmt.Errorf("%w; it offers %s", errNoFormat, offer(descs))
	}
	best := slices.MinFunc(cands, func(a, b candidate) int { return a.distance - b.distance }).distance
	cands = slices.DeleteFunc(cands, func(c candidate) bool { return c.distance > best })
	slices.SortStableFunc(cands, func(a, b candidate) int { return a.rank - b.rank })
	if cfg.Port == capture.Still {
		return cands[0].choice, nil
	}
	return pickRate(cands, cfg), nil
}

var errNoFormat = fmt.Errorf("none of the camera's pixel formats can be used")

// pickRate takes the cheapest format that is fast enough; if none is, the
// fastest.
func pickRate(cands []candidate, cfg capture.Config) choice {
	top := 0.0
	for _, c := range cands {
		top = max(top, c.rate)
	}
	need := cfg.FPS
	if need == 0 {
		need = fluent
	}
	need = min(need, top) * 0.95
	for i, c := range cands {
		if c.rate != 0 && c.rate < need {
			continue
		}
		if i > 0 && top > 0 {
			c.notes = append(c.notes, fmt.Sprintf("%v instead of %v, which the camera offers at only %.4g fps at %dx%d", c.native, cands[0].native, cands[0].rate, c.w, c.h))
		}
		return c.choice
	}
	return cands[0].choice
}

// pickSize finds the offered size nearest to the asked one, or the largest for
// the still port, and how far off it is.
func pickSize(sizes []v4l2.FrameSize, cfg capture.Config, current v4l2.Format) (w, h, distance int) {
	if cfg.Port == capture.Still {
		for _, s := range sizes {
			if s.MaxWidth*s.MaxHeight > w*h {
				w, h = s.MaxWidth, s.MaxHeight
			}
		}
		if w > 0 {
			return w, h, -w * h // the largest is the nearest
		}
	}
	askW, askH := cfg.Width, cfg.Height
	if askW == 0 && askH == 0 {
		askW, askH = current.Width, current.Height
	}
	if len(sizes) == 0 {
		if askW == 0 || askH == 0 {
			askW, askH = current.Width, current.Height
		}
		return askW, askH, 0
	}
	distance = math.MaxInt
	for _, s := range sizes {
		sw, sh := s.Nearest(askW, askH)
		d := 0
		if askW > 0 {
			d += abs(sw - askW)
		}
		if askH > 0 {
			d += abs(sh - askH)
		}
		if d < distance {
			w, h, distance = sw, sh, d
		}
	}
	return w, h, distance
}

func abs(v int) int { return max(v, -v) }

// pickInterval finds the offered interval nearest to the asked rate, or the
// shortest, and the highest rate on offer.
func pickInterval(ivals []v4l2.Interval, fps float64) (pick v4l2.Fraction, top float64) {
	asked := v4l2.Fraction{}
	if fps > 0 {
		asked = v4l2.Fraction{Num: 1000, Den: uint32(math.Round(fps * 1000))}
	}
	if len(ivals) == 0 {
		return asked, 0
	}
	bestOff := math.Inf(1)
	for _, iv := range ivals {
		top = max(top, iv.Min.FPS())
		p := iv.Min
		if fps > 0 && !iv.Discrete {
			switch {
			case iv.Min.FPS() > 0 && fps > iv.Min.FPS():
			case iv.Max.FPS() > 0 && fps < iv.Max.FPS():
				p = iv.Max
			default:
				p = asked
			}
		}
		off := -p.FPS()
		if fps > 0 {
			off = math.Abs(p.FPS() - fps)
		}
		if off < bestOff {
			bestOff, pick = off, p
		}
	}
	return pick, top
}

func offer(descs []v4l2.FormatDesc) string {
	var names []string
	for _, d := range descs {
		names = append(names, d.PixelFormat.String())
	}
	if len(names) == 0 {
		return "none at all"
	}
	return strings.Join(names, ", ")
}

// leastBytes is how much of a frame must be there for every pixel to be: the
// padding after the last row of packed formats may be missing.
func leastBytes(f frame.FourCC, w, h, stride int) int {
	switch f {
	case frame.JPEG:
		return 64 // a quantisation table alone is longer
	case frame.I420:
		return stride*h + 2*(stride/2)*((h+1)/2)
	case frame.NV12:
		return stride*h + stride*((h+1)/2)
	case frame.YUYV, frame.UYVY:
		return stride*(h-1) + 2*w
	case frame.RGB24, frame.BGR24:
		return stride*(h-1) + 3*w
	case frame.GREY:
		return stride*(h-1) + w
	}
	return 1
}

// tightStride is the stride of rows without padding, for drivers that answer 0.
func tightStride(f frame.FourCC, w int) int {
	switch f {
	case frame.YUYV, frame.UYVY:
		return 2 * w
	case frame.RGB24, frame.BGR24:
		return 3 * w
	case frame.JPEG:
		return 0
	}
	return w
}

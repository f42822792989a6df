package v4l2src

import (
	"cmp"
	"math"
	"slices"

	"framepipe/capture"
	"framepipe/v4l2"
)

const (
	mostSizes = 40 // that are told of; they travel with the camera's state
	mostRates = 16
)

// usual are sizes that people ask for, of which those within a range are told.
var usual = [][2]int{{320, 240}, {640, 480}, {800, 600}, {1024, 768}, {1280, 720}, {1280, 960}, {1640, 1232}, {1920, 1080}, {2592, 1944}, {3840, 2160}}

// offered lists what the device offers in the formats that can be used, all
// together, the smallest first. It is for people to choose from: what cannot be
// asked is left out.
func offered(cat catalog) []capture.Size {
	descs, err := cat.Formats()
	if err != nil {
		return nil
	}
	var all []capture.Size
	for _, d := range descs {
		if _, ok := natives[d.PixelFormat]; !ok {
			continue
		}
		sizes, err := cat.FrameSizes(d.PixelFormat)
		if err != nil {
			continue
		}
		for _, s := range sizes {
			for _, wh := range within(s) {
				ivals, _ := cat.Intervals(d.PixelFormat, wh[0], wh[1])
				all = add(all, wh[0], wh[1], ivals)
			}
		}
	}
	slices.SortFunc(all, func(a, b capture.Size) int {
		return cmp.Or(cmp.Compare(a.Width*a.Height, b.Width*b.Height), cmp.Compare(a.Width, b.Width))
	})
	return all[:min(len(all), mostSizes)]
}

// within are the sizes to choose from of a range: itself if it is one size.
func within(s v4l2.FrameSize) (out [][2]int) {
	if s.Discrete() {
		return [][2]int{{s.MaxWidth, s.MaxHeight}}
	}
	for _, u := range append(slices.Clip(usual), [2]int{s.MaxWidth, s.MaxHeight}) {
		if w, h := s.Nearest(u[0], u[1]); w == u[0] && h == u[1] {
			out = append(out, u)
		}
	}
	return out
}

func add(all []capture.Size, w, h int, ivals []v4l2.Interval) []capture.Size {
	i := slices.IndexFunc(all, func(s capture.Size) bool { return s.Width == w && s.Height == h })
	if i < 0 {
		i, all = len(all), append(all, capture.Size{Width: w, Height: h})
	}
	for _, iv := range ivals {
		for _, fps := range []float64{round(iv.Min.FPS()), round(iv.Max.FPS())} {
			if fps > 0 && !slices.Contains(all[i].FPS, fps) && len(all[i].FPS) < mostRates {
				all[i].FPS = append(all[i].FPS, fps)
			}
		}
	}
	slices.SortFunc(all[i].FPS, func(a, b float64) int { return cmp.Compare(b, a) })
	return all
}

func round(v float64) float64 { return math.Round(v*1000) / 1000 }

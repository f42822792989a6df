package web

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"framepipe/frame"
	"framepipe/stream"
)

// snapshot waits for a frame that was captured after the request, so that it
// shows the world as it is now and not the last frame before a stall.
func (s *Server) snapshot(w http.ResponseWriter, r *http.Request, f *stream.Feed) {
	asked := frame.ReceiverNow()
	ctx, cancel := context.WithTimeout(r.Context(), 10*time.Second)
	defer cancel()
	if ago := r.URL.Query().Get("ago"); ago != "" {
		s.past(ctx, w, f, ago)
		return
	}
	v := f.Hub.Subscribe()
	defer v.Close()
	for {
		fr, err := v.Next(ctx)
		if err != nil {
			if r.Context().Err() == nil {
				fail(w, http.StatusServiceUnavailable, "the camera gave no frame within 10 s")
			}
			return
		}
		if !capturedAfter(f, fr, asked) {
			fr.Release()
			continue
		}
		j, err := s.jpeg(f, fr)
		fr.Release()
		if err != nil {
			fail(w, http.StatusInternalServerError, err.Error())
			return
		}
		answerPicture(w, f, j)
		return
	}
}

// answerPicture answers with a frame that is a JPEG, and releases it.
func answerPicture(w http.ResponseWriter, f *stream.Feed, j *frame.Frame) {
	h := w.Header()
	h.Set("Content-Type", "image/jpeg")
	h.Set("Content-Length", strconv.Itoa(len(j.Data)))
	h.Set("X-Timestamp", timestamp(f, j))
	w.Write(j.Data)
	j.Release()
}

// past answers with the picture of so long ago.
func (s *Server) past(ctx context.Context, w http.ResponseWriter, f *stream.Feed, ago string) {
	d, err := time.ParseDuration(ago)
	if err != nil || d <= 0 {
		fail(w, http.StatusBadRequest, "ago="+printable(ago)+": write it as 10s or 1m30s")
		return
	}
	if s.cfg.Past == nil {
		fail(w, http.StatusNotFound, "nothing is kept: receive --bus URL --bus-keep 1m")
		return
	}
	fr, err := s.cfg.Past(ctx, f, d)
	if err != nil {
		fail(w, http.StatusNotFound, err.Error())
		return
	}
	j, err := s.jpeg(f, fr)
	fr.Release()
	if err != nil {
		fail(w, http.StatusInternalServerError, err.Error())
		return
	}
	answerPicture(w, f, j)
}

// capturedAfter holds a frame's capture against a moment on this machine's clock;
// where the capture is unknown, its first byte.
func capturedAfter(f *stream.Feed, fr *frame.Frame, t frame.ReceiverTime) bool {
	if o := f.Clock(); o.Known && fr.Captured != 0 {
		return o.ToReceiver(fr.Captured) >= t
	}
	return fr.FirstByte >= t
}

// timestamp is when a frame was captured, or else arrived, as Unix seconds of
// this machine's wall clock.
func timestamp(f *stream.Feed, fr *frame.Frame) string {
	return string(appendTimestamp(nil, f, fr))
}

func appendTimestamp(b []byte, f *stream.Feed, fr *frame.Frame) []byte {
	at := fr.LastByte
	if o := f.Clock(); o.Known && fr.Captured != 0 {
		at = o.ToReceiver(fr.Captured)
	}
	us := time.Now().Add(-frame.ReceiverNow().Sub(at)).UnixMicro()
	b = strconv.AppendInt(b, us/1e6, 10)
	b = append(b, '.')
	for div := int64(1e5); div > 0; div /= 10 {
		b = append(b, byte('0'+us/div%10))
	}
	return b
}

package stream

import (
	"testing"

	"framepipe/frame"
)

// A camera that was started anew finds the connection of its earlier life, which
// nobody has ended: it takes its place if nobody answers there, and only then.
func TestNewLifeOfACamera(t *testing.T) {
	for name, tc := range map[string]struct {
		answers bool
		want    string
	}{
		"the old connection is dead":        {false, "cam"},
		"another camera has the name first": {true, "cam-2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := startReceiver(t, ReceiverConfig{})
			old := dialFake(t, r.addr, frame.SenderNow)
			old.hello("cam")
			old.frame(testJPEG(), frame.SenderNow())
			first := r.feed("cam")
			eventually(t, "its first life", func() bool { return first.Meter.Ledger().Delivered == 1 })
			if tc.answers {
				go func() {
					for old.answer() != 0 {
					}
				}()
			}
			s := dialFake(t, r.addr, frame.SenderNow)
			s.hello("cam")
			s.frame(testJPEG(), frame.SenderNow())
			f := r.feed(tc.want)
			want := uint64(1)
			if !tc.answers {
				want = 2 // one camera, two lives
			}
			eventually(t, "its frame", func() bool { return f.Status().Session == sessionText(s.session) && f.Meter.Ledger().Delivered == want })
			if l := f.Meter.Ledger(); l.Delivered != want || l.Imbalance() != 0 {
				t.Errorf("%+v", l)
			}
		})
	}
}

// A camera that makes room for another is told of, with its account, so that
// nothing is kept for it.
func TestForgottenCameraIsToldOf(t *testing.T) {
	told := make(chan *Feed, 10)
	r := startReceiver(t, ReceiverConfig{MaxCameras: 2, Forgotten: func(f *Feed) { told <- f }})
	for _, name := range []string{"a", "b", "c", "d"} {
		s := dialFake(t, r.addr, frame.SenderNow)
		s.hello(name)
		s.frame(testJPEG(), frame.SenderNow())
		f := r.feed(name)
		eventually(t, "its frame", func() bool { return f.Meter.Ledger().Delivered == 1 })
		s.conn.Close()
		eventually(t, "its end", func() bool { return !f.Status().Connected })
	}
	for _, want := range []string{"a", "b"} {
		if f := <-told; f.Name() != want || f.Meter.Ledger().Delivered != 1 {
			t.Errorf("%s was forgotten, want %s", f.Name(), want)
		}
	}
	if n := len(r.recv.Feeds()); n != 2 {
		t.Errorf("%d cameras are known", n)
	}
}

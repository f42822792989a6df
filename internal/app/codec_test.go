package app

import (
	"strings"
	"testing"

	"framepipe/mjpeg"
)

func TestChooseCodec(t *testing.T) {
	was := mjpeg.Chosen()
	defer mjpeg.Choose("")
	t.Setenv("FRAMEPIPE_JPEG", "go")
	if _, err := chooseCodec(t.Context(), nil); err != nil || mjpeg.Chosen().Why != "asked for" {
		t.Errorf("%v %+v", err, mjpeg.Chosen())
	}
	t.Setenv("FRAMEPIPE_JPEG", "fast")
	if _, err := chooseCodec(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "FRAMEPIPE_JPEG") || hintOf(err) == "" {
		t.Errorf("%v", err)
	}
	t.Setenv("FRAMEPIPE_JPEG", "")
	if _, err := chooseCodec(t.Context(), nil); err != nil || mjpeg.Chosen() != was {
		t.Errorf("%v %+v, want %+v", err, mjpeg.Chosen(), was)
	}
	if s, took := codecText(); took <= 0 || !strings.Contains(s, was.Encoder) || !strings.Contains(s, was.Why) || !strings.Contains(s, "ms to encode") {
		t.Error(s)
	}
}

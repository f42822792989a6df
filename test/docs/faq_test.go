package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// complaints are the twenty that users of camera streamers have most: how docs/faq.md
// puts each, and which of the doctor's checks looks for its cause where software can.
var complaints = []struct{ question, check string }{
	{"Why does the picture get older and older?", "link"},
	{"The picture froze, and I had to restart something.", ""},
	{"I unplugged the USB camera and the program did not notice.", ""},
	{"I get fewer frames per second than I asked for.", "encoding"},
	{"In the evening the frame rate halves.", "exposure"},
	{"The Pi 5 has no hardware encoder.", "encoding"},
	{"libcamera or V4L2?", "camera-stack"},
	{"I only want the newest frame.", ""},
	{"How do I measure latency?", ""},
	{"Are the capture times real?", "clock"},
	{"My Wi-Fi is weak: can quality adapt?", "wifi-signal"},
	{"Memory or threads grow.", ""},
	{"The snapshot is old.", ""},
	{"Half of the pictures are broken.", ""},
	{"The second camera says \"no space left on device\".", "usb-bus"},
	{"Should the camera run only when somebody looks?", ""},
	{"The browser shows the frame before.", ""},
	{"Is there a Prometheus endpoint?", ""},
	{"HTTPS? Rotation? A page with controls?", ""},
	{"Everything stutters every few seconds.", "wifi-power-save"},
}

// Each has an answer; where it sends people to the doctor, that one has the check, and
// says how to mend what it finds: on a machine of its tests, or over the link of
// test/experiments.
func TestEveryComplaintHasAnAnswer(t *testing.T) {
	b, err := os.ReadFile("../../docs/faq.md")
	if err != nil {
		t.Fatal(err)
	}
	machines, err := filepath.Glob("../../internal/doctor/testdata/*.want")
	if err != nil || len(machines) == 0 {
		t.Fatalf("%d machines, %v", len(machines), err)
	}
	found := ""
	for _, name := range machines {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		found += string(text)
	}
	link, err := os.ReadFile("../experiments/doctor_test.go")
	if err != nil {
		t.Fatal(err)
	}
	answers := map[string]string{}
	for p := range strings.SplitSeq(string(b), "\n\n") {
		if q, answer, ok := strings.Cut(strings.TrimPrefix(p, "**"), "**"); ok && strings.HasPrefix(p, "**") {
			answers[q] = answer
		}
	}
	for _, c := range complaints {
		answer := answers[c.question]
		if len(strings.Fields(answer)) < 5 {
			t.Errorf("docs/faq.md has no answer to %q: %q", c.question, answer)
		}
		if sends := strings.Contains(answer, "framepipe doctor"); sends != (c.check != "") {
			t.Errorf("%s: docs/faq.md names the doctor: %v, its check: %q", c.question, sends, c.check)
		}
		switch mended := regexp.MustCompile(`(?m)^(warn|fail|info) +` + c.check + ` .*\n +fix: `); {
		case c.check == "":
		case c.check == "link" && strings.Contains(string(link), `f.Check != "link"`):
		case !mended.MatchString(found):
			t.Errorf("%s: on no machine of its tests does the doctor find %s and say how to mend it", c.question, c.check)
		}
	}
}

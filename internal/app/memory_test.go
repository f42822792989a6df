package app

import "testing"

func TestMemTotal(t *testing.T) {
	for _, tc := range []struct {
		text string
		want int64
	}{
		{"MemTotal:         443080 kB\nMemFree:           64712 kB\n", 443080 << 10},
		{"MemFree: 64712 kB\n", 0},
		{"MemTotal: many kB\n", 0},
		{"", 0},
	} {
		if got := memTotal([]byte(tc.text)); got != tc.want {
			t.Errorf("%q: %d, want %d", tc.text, got, tc.want)
		}
	}
}

package rpicam

import (
	"bufio"
	"strconv"
	"strings"
)

// Camera is one line of rpicam-vid --list-cameras.
type Camera struct {
	Index int
	Name  string // the sensor's model: imx708_wide
	Size  string // its full resolution: 4608x2592
	ID    string // libcamera's path
	USB   bool   // a UVC camera, which the V4L2 source handles better
}

// parseList reads lines such as
//
//	0 : imx477 [4056x3040 12-bit RGGB] (/base/soc/i2c0mux/i2c@1/imx477@1a)
//
// and ignores all others.
func parseList(out string) []Camera {
	var cams []Camera
	sc := bufio.NewScanner(strings.NewReader(out))
	for sc.Scan() && len(cams) < 64 {
		index, rest, ok := strings.Cut(sc.Text(), " : ")
		if !ok {
			continue
		}
		n, err := strconv.Atoi(strings.TrimSpace(index))
		if err != nil || n < 0 || n > 1000 || index[0] == ' ' {
			continue
		}
		c := Camera{Index: n}
		c.Name, rest, ok = strings.Cut(rest, " [")
		if !ok || c.Name == "" {
			continue
		}
		props, id, ok := strings.Cut(rest, "] (")
		if !ok || !strings.HasSuffix(id, ")") {
			continue
		}
		c.Size, _, _ = strings.Cut(props, " ")
		c.ID = strings.TrimSuffix(id, ")")
		c.USB = strings.Contains(strings.ToLower(c.ID), "usb")
		cams = append(cams, c)
	}
	return cams
}

//go:build linux

// Command usbcam is a virtual USB camera: it speaks the device's side of USB/IP to the
// kernel's vhci_hcd, so that the kernel's own uvcvideo driver binds to it and
// gives a /dev/videoN with MJPG. To unplug the camera, end the program.
//
// It streams over a bulk endpoint; isochronous transfers, H.264 and still-image
// triggers are not there. Its pictures carry their number drawn into them and as
// a JPEG comment, and can be broken in the ways that real cameras' are.
//
// Facts are from the USB Device Class Definition for Video Devices 1.1 (run here
// as 1.00, whose probe control has 26 bytes) and the kernel's
// Documentation/usb/usbip_protocol.rst.
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

func main() {
	quirk := flag.String("quirk", "none", strings.Join(quirks, ", "))
	every := flag.Int("every", 1, "break each Nth picture only")
	stall := flag.Int("stall", 0, "stop sending after that many pictures of a stream (0 = never)")
	name := flag.String("name", "Virtual USB camera", "product name")
	port := flag.Int("port", 0, "port of the virtual hub (0-7)")
	flag.Parse()
	if err := run(*name, *port, *quirk, *every, *stall); err != nil {
		fmt.Fprintln(os.Stderr, "usbcam:", err)
		os.Exit(1)
	}
}

func run(name string, port int, quirk string, every, stall int) error {
	if !known(quirk) || every < 1 {
		return fmt.Errorf("quirk %q each %d: use %s", quirk, every, strings.Join(quirks, ", "))
	}
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	conn := os.NewFile(uintptr(fds[0]), "usbip")
	// port, socket, device id, speed (3 = high, which is what ports 0 to 7 are)
	attach := fmt.Sprintf("%d %d %d 3", port, fds[1], 65537+port)
	if err := os.WriteFile("/sys/devices/platform/vhci_hcd.0/attach", []byte(attach), 0); err != nil {
		return err
	}
	unix.Close(fds[1])
	c := newCamera(conn, descriptors{product: name})
	c.pictures = pictures{quirk: quirk, every: every}
	c.stall = stall
	go c.stream() // ends with the process: main returns when the line is cut
	return c.serve()
}

// Package guest holds the tests that run inside a test machine, on real kernel
// drivers. They need the tag vmguest, and the devices that test/vm boots with:
// /dev/video0 is vivid (input 0 a webcam, input 1 HDMI), /dev/video1 a second
// vivid that speaks the multi-planar API, and /bin/usbcam the virtual USB camera.
package guest

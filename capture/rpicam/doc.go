// Package rpicam takes frames from Raspberry Pi cameras through rpicam-vid and
// rpicam-still (libcamera-vid and libcamera-still on older systems), which is how
// libcamera is reached without linking against it. Linux only.
//
// No real Raspberry Pi camera was at hand when this was written: it was made after
// the source of rpicam-apps (output/, encoder/, core/options.cpp) and libcamera's
// log texts, and tested against a stand-in program that writes what those write.
//
// # How it works
//
// Video port: one rpicam-vid runs through and writes frames to a pipe, --flush so
// that no frame's end waits in stdio for the next frame; a goroutine that Close
// awaits reads it and keeps the newest (package slot). JPEGs (--codec mjpeg) are
// split by their segments. Raw frames (--codec yuv420) have no framing at all and
// are dumped with their padding: rows are rounded up to 64 bytes (VC4: Pi 4 and
// before) or 128 (PiSP: Pi 5), and the buffer may be larger still. Its length is
// read from what rpicam-vid says with --verbose 2, and the padding is removed.
//
// For each frame, after its bytes, rpicam-vid writes a record of metadata to a FIFO
// in a directory of our own: key=value lines and an empty line. The n-th record
// belongs to the n-th frame. SensorTimestamp is CLOCK_MONOTONIC in nanoseconds and
// marks the start of readout, that is the end of the first row's exposure
// (StampReadout); where it jumps by more than a frame's duration, frames were lost
// before us and count as gaps. Without metadata frames are stamped on arrival.
//
// In continuous mode Next returns a frame whose readout began after the call. Still
// port: one rpicam-still run for each frame, in both modes. It writes its metadata
// too, so these frames have the same stamp.
//
// When the program ends, the error wraps capture.ErrGone and carries its last words.
// The environment variable FRAMEPIPE_RPICAM names another program instead of
// rpicam-vid; -still in place of -vid at the end of its name is taken for stills.
//
// # Memory
//
// Frames come from a pool; of the programs' messages the last few kilobytes are kept.
package rpicam

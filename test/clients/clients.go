// Package clients runs the program as people do and looks at it with other people's
// programs: curl, ffmpeg, ffprobe, OpenCV, GStreamer and browsers' requests read its
// addresses; recordings are killed, starved of disk and played.
//
// It does not measure how fast anything is.
package clients

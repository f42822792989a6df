// Package stream moves frames from one machine to another: the Sender with its
// one-frame mailbox on the camera's side, the Receiver with a Feed per camera
// and its fan-out Hub on the viewer's.
//
// The way of a frame is
//
//	capture loop -> Mailbox -> send loop -> TCP -> read loop -> Hub -> one slot per viewer
//
// with two hand-offs between goroutines and no queue longer than one frame. In
// each slot the newest frame wins: a late frame is worth less than none. Who
// replaces a frame releases it and counts it. Nobody waits for a slow reader.
//
// Nothing here knows cameras, codecs, HTTP or the command line.
package stream

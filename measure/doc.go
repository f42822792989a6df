// Package measure turns what happened to frames into figures that can be
// trusted: records as in the origin's experiment, latency by stage, age of the
// newest frame, freezes, jitter, and the loss ledger. MEASURING.md says what
// each figure means and what it is worth; this package is where the definitions
// live. It reads no clock: moments come with the frames and with the calls.
//
// A delay whose two ends were stamped by different machines is corrected by
// package clocksync and carries that error bound. What is not known is absent,
// never zero: a v0 stream has no stamps, so it has no latency.
package measure

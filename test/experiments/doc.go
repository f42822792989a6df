// Package experiments runs the real program's experiments as a person would: whole
// runs on one machine, sender and receiver as separate processes, killed at random
// points and resumed, on a disk that is full, over a simulated link. What the
// figures mean is tested with the packages below experiment; here it is that
// nothing gets lost on the way to the report.
package experiments

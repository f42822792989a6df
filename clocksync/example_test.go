package clocksync_test

import (
	"fmt"
	"time"

	"framepipe/clocksync"
	"framepipe/frame"
)

// The sender's clock is 100 ms ahead, and an exchange takes 0.4 ms: one is enough to
// relate the clocks to half of that, whichever way took longer.
func ExampleEstimator() {
	const us = 1000
	var e clocksync.Estimator
	e.Add(clocksync.Sample{T1: 1_000 * us, T2: 101_200 * us, T3: 101_200 * us, T4: 1_400 * us})
	o := e.At(1_400 * us)
	fmt.Println(o.Known, o.Offset, o.Error.Round(10*time.Microsecond))

	captured := frame.SenderTime(111_000 * us)
	fmt.Println(time.Duration(o.ToReceiver(captured)))
	// Output:
	// true 100ms 200µs
	// 11ms
}

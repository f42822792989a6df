package frame_test

import (
	"fmt"

	"framepipe/frame"
)

// Two viewers share a frame: whoever is handed one releases it once, and the pool has
// its buffer back when the last one did.
func ExampleFrame_Retain() {
	var pool frame.Pool
	f := pool.Get(3)
	copy(f.Data, "abc")
	f.Format, f.Seq = frame.JPEG, 7

	other := f.Retain()
	f.Release()
	fmt.Printf("%s %d: %s, %d out\n", other.Format.Word(), other.Seq, other.Data, pool.Out())
	other.Release()
	fmt.Println(pool.Out(), "out")
	// Output:
	// jpeg 7: abc, 1 out
	// 0 out
}

// A ledger that does not balance is a bug: each frame is sent, or lost for one cause.
func ExampleCounts() {
	c := frame.Counts{Offered: 100, Sent: 97}
	c.Lost[frame.LostStale] = 2
	c.Lost[frame.LostGap] = 1
	fmt.Println(c.LostTotal(), "lost,", c.Imbalance(), "unaccounted for")
	// Output: 3 lost, 0 unaccounted for
}

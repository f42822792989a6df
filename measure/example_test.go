package measure_test

import (
	"fmt"
	"os"
	"time"

	"framepipe/clocksync"
	"framepipe/frame"
	"framepipe/measure"
)

// A camera of 10 frames/s on this machine, whose frames take 20 ms, measured as the
// origin does: records of a second here, and its summary file. The third is still open.
func ExampleMeter() {
	summary, err := measure.NewSummary(os.Stdout)
	if err != nil {
		fmt.Println(err)
		return
	}
	m := measure.NewMeter(measure.Config{Camera: "door", RecordLength: time.Second, Closed: func(r *measure.Record) {
		if err := summary.Add(r); err != nil {
			fmt.Println(err)
		}
	}})
	for i := range 25 {
		captured := time.Minute + time.Duration(i)*100*time.Millisecond
		f := frame.Meta{Seq: uint64(i) + 1, Format: frame.JPEG, StampKind: frame.StampTick}
		f.Captured = frame.SenderTime(captured)
		f.Delivered = frame.ReceiverTime(captured + 20*time.Millisecond)
		f.LastByte = f.Delivered
		f.Counts.Offered, f.Counts.Sent = f.Seq, f.Seq
		m.Frame(&f, 70_000, true, clocksync.Same())
	}
	now := frame.ReceiverTime(time.Minute + 2500*time.Millisecond)
	live, ledger := m.Live(now), m.Ledger()
	fmt.Printf("latency p50 %.0f ms; %d offered, %d delivered, %d lost\n", live.Latency.P50, ledger.Offered, ledger.Delivered, ledger.LostTotal())
	// Output:
	// nbr_images, elapsed(sec), avg_img_size
	// 10, 1.000, 70000
	// 10, 1.000, 70000
	// latency p50 20 ms; 25 offered, 25 delivered, 0 lost
}

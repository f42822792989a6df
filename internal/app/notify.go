package app

import (
	"context"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// notifier tells a service manager how we are: sd_notify(3), datagrams of VARIABLE=
// lines to the socket that NOTIFY_SOCKET names. Without one it says nothing.
type notifier struct {
	conn  net.Conn
	every time.Duration // within which WATCHDOG=1 is to come; 0 = nobody waits for it
}

// newNotifier reads what the service manager put into the environment.
func newNotifier(log *slog.Logger) *notifier {
	n := new(notifier)
	name := os.Getenv("NOTIFY_SOCKET")
	if name == "" {
		return n
	}
	conn, err := net.Dial("unixgram", name) // a leading @ is an abstract name, as Go writes it too
	if err != nil {
		log.Warn("cannot tell the service manager that we are ready", "cause", err)
		return n
	}
	n.conn = conn
	if pid := os.Getenv("WATCHDOG_PID"); pid == "" || pid == strconv.Itoa(os.Getpid()) {
		if us, err := strconv.ParseInt(os.Getenv("WATCHDOG_USEC"), 10, 64); err == nil && us > 0 {
			n.every = time.Duration(us) * time.Microsecond
		}
	}
	return n
}

func (n *notifier) say(lines ...string) {
	if n.conn != nil {
		_, _ = n.conn.Write([]byte(strings.Join(lines, "\n"))) // a service manager that is gone is no reason to stop
	}
}

// ready says that start-up is over.
func (n *notifier) ready() { n.say("READY=1") }

// vigil is what the watchdog looks at.
type vigil struct {
	frames uint64        // that came through, ever; what it counts, each side decides
	excuse bool          // that none comes has a reason that starting anew would not mend
	period time.Duration // between two frames, if known
}

// run keeps the service manager informed until ctx ends, and says then that we
// stop. The watchdog is fed only while frames come through, or there is a reason
// why they do not: a program that is alive and carries nothing is to be restarted.
func (n *notifier) run(ctx context.Context, status func() string, look func() vigil) {
	if n.conn == nil {
		<-ctx.Done()
		return
	}
	tick := 5 * time.Second
	if n.every > 0 {
		tick = min(tick, n.every/5)
	}
	w := watchdog{patience: n.every / 2, since: time.Now()}
	said := ""
	every(ctx, tick, func() {
		var lines []string
		if s := oneLine(status()); s != said {
			said = s
			lines = append(lines, "STATUS="+s)
		}
		if n.every > 0 && w.fed(time.Now(), look()) {
			lines = append(lines, "WATCHDOG=1")
		}
		if len(lines) > 0 {
			n.say(lines...)
		}
	})
	n.say("STOPPING=1")
}

// watchdog decides whether all is well.
type watchdog struct {
	patience time.Duration
	frames   uint64
	since    time.Time // of the last frame that came through, or of the last excuse
}

func (w *watchdog) fed(now time.Time, v vigil) bool {
	if v.excuse || v.frames != w.frames {
		w.frames, w.since = v.frames, now
	}
	return now.Sub(w.since) <= max(w.patience, 3*v.period)
}

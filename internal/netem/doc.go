// Package netem emulates a bad link between two network namespaces of this
// machine: rate, finite queue, delay, jitter, random and bursty loss, changes of
// rate, and outages, from a seed. Tests and simulated experiments
// (`--link rate=35mbit,delay=5ms,loss=1%,queue=1MB`) run real programs over it
// with the kernel's real TCP. It is not for the path of frames in use, and it is
// no model of radio: it does what its figures say and nothing else.
//
// Each namespace has one TUN device; between the two devices every packet passes
// through this process. A direction is a server that works in virtual time: what
// becomes of a packet (when it leaves the queue, whether it is lost, when it is
// due at the other side) follows from its arrival time and the seed alone, so
// that waking up late costs no rate and the same arrivals meet the same fate in
// every run. How late the process really was is measured, and a run in which
// that exceeded [MaxLateness] says that it was spoiled: throw it away.
//
// A packet's order is kept whatever the jitter. Bursty loss (Gilbert-Elliott)
// changes its state with time, not per packet: per packet, a sender that backs
// off would stay in the bad state for tens of seconds, which no radio does.
// Schedules (steps, outages) count from the first packet of more than 1000
// bytes, that is from the first data rather than from the handshake.
//
// It needs Linux, root, /dev/net/tun and the program ip (iproute2); New names
// what is missing. Namespaces that a killed process left behind are removed by
// the next New.
//
// Sources: Documentation/networking/tuntap.rst, setns(2), ip-netns(8);
// E. N. Gilbert, "Capacity of a burst-noise channel" (1960).
package netem

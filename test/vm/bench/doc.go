// Package bench boots Debian's own kernel in QEMU, so that tests meet real
// kernel drivers on any machine: the virtual video driver vivid, and uvcvideo on
// a virtual USB camera. It emulates the processor (TCG) and so needs neither
// KVM nor modules nor privileges on the host.
//
// The kernel comes from Debian's package (unpacked into a cache, not
// installed), the rest of the guest is a few static Go programs in an initramfs
// that is written here: package agent is its init and runs commands that arrive
// over a serial line.
package bench

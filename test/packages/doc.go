// Package packages tests our Debian packages where they are to be installed: a
// clean Debian that mmdebstrap makes, in which they are installed, upgraded,
// removed and purged, and which systemd-nspawn then boots with its own systemd, to
// run the services; a real Chromium looks at the page of the receiver there. With the
// tag packages the ARM packages are installed too (make test-packages, some minutes):
// in Debians of their kind whose programs qemu-user emulates, and on an emulated
// Raspberry Pi 3 that boots such a Debian from its card, with Debian's kernel. What
// that board lacks is in docs/install.md.
package packages

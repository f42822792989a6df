// Package packages tests our Debian packages where they are to be installed: a
// clean Debian that mmdebstrap makes, in which they are installed, upgraded,
// removed and purged, and which systemd-nspawn then boots with its own systemd, to
// run the services. With the tag packages the ARM packages are installed too, in
// Debians of their kind that qemu emulates (make test-packages, some minutes).
package packages

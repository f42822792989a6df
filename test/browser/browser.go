// Package browser looks at the page as people do: in a real Chromium, driven over
// its DevTools protocol. Its tests run the receiver's parts in this process with
// the synthetic camera, whose frame number they read back from screenshots.
//
// It is not for how fast things are beyond wide bounds: the machines that run it
// draw in software and do other things meanwhile.
package browser

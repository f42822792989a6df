package main

import "framepipe/test/standin"

// programs are what scripts can run: the real one, and stand-ins for what a test
// machine cannot have.
func programs() map[string]func() {
	return map[string]func(){
		"framepipe":    main,
		"rpicam-vid":   func() { standin.RPiCam(false) },
		"rpicam-still": func() { standin.RPiCam(true) },
	}
}

// Command framepipe carries camera frames to another machine with the highest
// frame rate and the lowest latency that camera and link allow, and measures
// each frame's way. Run `framepipe help` for what it can do.
package main

import (
	"os"

	"framepipe/internal/app"
)

func main() { os.Exit(app.Main(os.Args, os.Stdin, os.Stdout, os.Stderr)) }

package docs

import (
	"os/exec"
)

// environment has the commands use free ports of the loopback and the synthetic
// camera, as a reader could do it too.
var environment = []string{
	"FRAMEPIPE_RECEIVE_LISTEN=127.0.0.1:0", "FRAMEPIPE_RECEIVE_HTTP=127.0.0.1:0", "FRAMEPIPE_RECEIVE_ANNOUNCE=",
	"FRAMEPIPE_SEND_SOURCE=pattern", "FRAMEPIPE_SEND_NAME=door",
	"FRAMEPIPE_DEMO_HTTP=127.0.0.1:0",
	"FRAMEPIPE_GLASS_LISTEN=127.0.0.1:0", "FRAMEPIPE_GLASS_HTTP=127.0.0.1:0",
	"FRAMEPIPE_EXPERIMENT_RUN_LISTEN=127.0.0.1:0",
}

// everywhere is changed in each command: the names that stand for the reader's own,
// and what is built already. $x is what an earlier command said.
var everywhere = []string{
	"./framepipe ", "framepipe ",
	"sudo framepipe", "framepipe",
	"LAPTOP", "$tcp",
	"nats://HOST", "nats://127.0.0.1:$free",
}

// entry is what is done with a block.
type entry struct {
	begins   string // the block's text does
	first    func(*stage)
	commands []act    // one for each command of the block
	each     act      // instead, for all of them
	why      string   // it is not run; its flags are checked
	file     string   // the block is no command but this file; commands have texts of their own
	change   []string // in the file: pairs of old and new
	more     string   // lines behind it
}

// act is what is done with a command.
type act struct {
	text   string   // for a file's commands
	change []string // pairs of old and new, beside everywhere
	env    []string
	until  string       // it says this, and goes on; "" = it ends
	says   string       // it has said this by then
	ends   []int        // with this status; 0 unless given
	then   func(*stage) // what must be seen then
	root   bool         // it needs root; elsewhere only its flags are checked
	why    string       // it is not run; its flags are checked
}

const (
	receives = `(?s)waiting for cameras on (?P<tcp>\S+).*the page is at (?P<page>http://\S+/)`
	sends    = `connected: receiver`
	notOurs  = "no command and no file of ours: a picture of words, bytes, or another program's text"
)

// dry lets make say what it would do: targets and variables exist. The things
// themselves are built and run elsewhere: test/dist, .ci/run.
var dry = act{change: []string{"make", "make -n -C $root"}}

// aReceiver has one running, with a camera, for what only reads.
func aReceiver(s *stage) {
	s.start("framepipe receive --source pattern -W 320 -H 240 --fps 30", receives, nil, nil)
	s.picture(s.vars["page"], "")
}

// aSender sends to where Python is going to listen.
func aSender(format string) func(*stage) {
	return func(s *stage) {
		s.start(s.change("framepipe send --format "+format+" 127.0.0.1:$free", nil), "cannot reach the receiver, keep trying", nil, nil)
	}
}

// seen says that the page that was named last has a picture of a camera.
func seen(camera string) func(*stage) {
	return func(s *stage) { s.picture(s.vars["page"], camera) }
}

// need skips a document where a program of others is missing.
func need(program, pkg string) func(*stage) {
	return func(s *stage) {
		if _, err := exec.LookPath(program); err != nil {
			if _, err := exec.LookPath("/usr/sbin/" + program); err != nil {
				s.Skipf("needs %s (apt-get install %s)", program, pkg)
			}
		}
	}
}

// debian is the Python that Debian's numpy and OpenCV belong to.
func debian(s *stage) {
	s.vars["python"] = "/usr/bin/python3"
	if exec.Command(s.vars["python"], "-c", "import cv2, numpy").Run() != nil {
		s.Skip("needs Python's OpenCV (apt-get install python3-opencv)")
	}
}

func both(fs ...func(*stage)) func(*stage) {
	return func(s *stage) {
		for _, f := range fs {
			f(s)
		}
	}
}

// begun is when an experiment measures; then it is ended as by Ctrl-C, which is to
// keep what there is. The whole of it takes more than an hour.
const begun = `settings, \d+ visits, about(?s:.*)camera connected`

var script = map[string][]entry{
	"ARCHITECTURE.md": {{begins: "camera ─DQBUF", why: notOurs}},
	"CONTRIBUTING.md": {{begins: "make", each: dry}},
	"PROTOCOL.md": {
		{begins: "46 50 57 f1", why: notOurs},
		{begins: "framepipe://TOKEN@HOST:PORT/PIN", why: notOurs},
		{begins: "HELLO.auth.proof", why: notOurs},
	},
	"README.md": {
		{begins: "$ make demo", commands: []act{{change: []string{"make demo", "exec $(make -s -n -C $root demo | sed 's,^go run ./cmd/framepipe,framepipe,')"}, until: `the page is at (?P<page>http://\S+/)`, then: seen("demo")}}},
		{begins: "laptop$ make build", commands: []act{
			{change: []string{"make build", "make -n -C $root build"}, until: receives},
			{until: sends, then: seen("door")},
		}},
		{begins: "$ make test", each: dry},
		{begins: "framepipe send [flags]", why: notOurs},
		{begins: "ffmpeg -re -i clip.mp4", first: both(need("ffmpeg", "ffmpeg"), aReceiver, func(s *stage) {
			s.start("ffmpeg -v error -f lavfi -i testsrc=size=320x240:rate=10:duration=2 -c:v mpeg4 clip.mp4", "", nil, nil)
		}), commands: []act{
			{until: sends, then: seen("door")},
			{change: []string{"http://192.168.1.20:81/", "${page}"}, env: []string{"FRAMEPIPE_SEND_NAME=esp"}, until: sends, then: seen("esp")},
		}},
		{begins: "framepipe receive", commands: []act{{until: receives}}},
		{begins: "laptop$ framepipe receive --token auto", commands: []act{
			{change: []string{"--http :8080", "--http 127.0.0.1:0"}, until: `(?s)framepipe send (?P<connect>framepipe://\S+).*waiting for cameras`},
			{change: []string{"framepipe://af0WiI…@192.168.1.5:1308/ccD0fm…", "$connect"}, until: sends},
		}},
		{begins: "framepipe experiment run origin --camera NAME", first: both(aReceiver, func(s *stage) {
			s.start(s.change("framepipe send --name NAME $tcp", nil), sends, nil, nil)
		}), commands: []act{
			{change: []string{"--out DIR", "--out DIR1"}, until: `waiting for the camera on (?P<there>\S+):`, then: func(s *stage) {
				s.start(s.change("framepipe send --name NAME $there", nil), sends, nil, nil)
			}},
			{change: []string{"--out DIR", "--out DIR2"}, env: []string{"FRAMEPIPE_EXPERIMENT_RUN_RECEIVER=$page"}, until: "settings, [0-9]+ visits, about"},
			{change: []string{"--out DIR", "--out DIR3"}, until: begun, root: true},
		}},
		{begins: "name: quality", file: "plan.yaml", commands: []act{{text: "framepipe experiment run plan.yaml --local --out DIR4", until: begun}}},
		{begins: "framepipe glass", commands: []act{
			{until: `waiting for cameras on (?P<tcp>\S+)(?s:.*)http://\S+/glass on the screen`, ends: []int{1}}, // nobody filmed it, which it says
			{until: sends},
		}},
		{begins: "framepipe devices", commands: []act{{}, {ends: []int{0, 1}, says: `kernel`}}},
	},
	"clients/python/README.md": {
		{begins: "pip install", why: "pip gets its build tools from the network; the tests use the folder, as the line says behind it"},
		{begins: "import cv2, framepipe", first: both(debian, aReceiver), file: "a.py", change: []string{`"http://127.0.0.1:8080"`, `"$page"`}, more: "    break\n",
			commands: []act{{text: "$python a.py"}}},
		{begins: "for frame in framepipe.listen()", first: aSender("jpeg"), file: "b.py", commands: []act{{text: "$python b.py"}},
			change: []string{"for frame in framepipe.listen():", "import framepipe\nfor frame in framepipe.listen('127.0.0.1', $free):", "frame.error)", "frame.error); break", "port=1308)", "port=$free)", "quality=60)", "quality=60); break"}},
		{begins: "context = framepipe.server_context", why: "needs an authority's files; test/clients does the same with some"},
		{begins: "for frame in framepipe.mjpeg", file: "c.py", commands: []act{{text: "$python c.py"}},
			change: []string{"for frame", "import framepipe\nfor frame", "http://192.168.1.20:81/", "${page}"}, more: "    break\n"},
	},
	"docs/bus.md": {{begins: "hub$    nats-server", first: need("nats-server", "nats-server"), commands: []act{
		{change: []string{"nats-server", "nats-server -a 127.0.0.1 -p $free"}, until: "Server is ready"},
		{until: receives, then: func(s *stage) {
			s.start(s.change("framepipe send $tcp", nil), sends, nil, nil)
		}},
		{until: receives, then: seen("studio.door")},
	}}},
	"docs/connect/README.md": {
		{begins: "streams:", why: notOurs},
		{begins: "header, .under", why: notOurs},
	},
	"docs/connect/imagezmq.md": {
		{begins: "hub = imagezmq", why: notOurs},
		{begins: "for frame in framepipe.listen()", first: both(debian, aSender("jpeg")), file: "a.py", commands: []act{{text: "$python a.py"}},
			change: []string{"for frame in framepipe.listen():", "import cv2, framepipe\nfor frame in framepipe.listen('127.0.0.1', $free):"}, more: "    assert picture.shape == (240, 320, 3); break\n"},
	},
	"docs/connect/picamera2.md": {
		{begins: "for frame in framepipe.listen()", first: both(debian, aSender("yuv")), file: "a.py", commands: []act{{text: "$python a.py"}},
			change: []string{"for frame in framepipe.listen():", "import cv2, framepipe\nfor frame in framepipe.listen('127.0.0.1', $free):", "LAPTOP", "the laptop"}, more: "    assert picture.shape == (240, 320, 3); break\n"},
	},
	"docs/install.md":     {{begins: "sudo systemctl enable", why: "test/packages starts these units in a machine of their own"}},
	"docs/origin.md":      {{begins: "sudo framepipe experiment run origin --local", commands: []act{{until: begun, root: true}}}},
	"docs/performance.md": {{begins: "GOARCH=arm64", why: "an hour of an emulator that writes down each instruction; make bench-peers makes what is in that page"}},
	"docs/recording.md": {{begins: "framepipe receive --record walk.mkv", commands: []act{
		{until: receives, then: func(s *stage) {
			s.start(s.change("framepipe send --frames 20 $tcp", nil), "", nil, nil)
		}},
		{change: []string{" ...", " $tcp"}, env: []string{"FRAMEPIPE_SEND_NAME=again"}, says: `the camera gave (1[0-9]|20) frames`},
	}}},
	"docs/start.md": {
		{begins: "make build", commands: []act{dry, {change: []string{"go build", "go build -C $root -n"}, says: "framepipe-pi"}}}, // test/dist builds it
		{begins: "scp framepipe-pi", why: "needs a Pi"},
		{begins: "./framepipe receive", commands: []act{{until: receives}}},
		{begins: "./framepipe send LAPTOP", commands: []act{{until: sends, then: seen("door")}}},
	},
}

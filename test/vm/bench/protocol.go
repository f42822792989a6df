package bench

// The protocol between host and agent: JSON objects, one a line, over a serial
// port. Lines from the guest that do not begin with Mark are its console's.

// Mark begins the agent's lines.
const Mark = "\x01@"

// Request is a line to the agent.
type Request struct {
	ID         int      `json:"id"`
	Argv       []string `json:"argv,omitempty"` // run this program
	Env        []string `json:"env,omitempty"`
	TimeoutSec int      `json:"timeout,omitempty"` // kill it after this long; 0 = never
	Kill       int      `json:"kill,omitempty"`    // kill the program of that request
	PowerOff   bool     `json:"poweroff,omitempty"`
}

// Reply is a line from the agent.
type Reply struct {
	ID     int     `json:"id"`
	Out    []byte  `json:"out,omitempty"` // a piece of the program's output
	Done   bool    `json:"done,omitempty"`
	Code   int     `json:"code,omitempty"`   // exit status; -1 = killed
	Err    string  `json:"err,omitempty"`    // why it could not be run
	Ready  bool    `json:"ready,omitempty"`  // the agent is up
	Uptime float64 `json:"uptime,omitempty"` // seconds since boot, with Ready
}

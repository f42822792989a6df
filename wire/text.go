package wire

import "encoding/json"

// HelloText is the payload of a hello.
type HelloText struct {
	Name     string    `json:"name"`           // the camera's name, as its user chose it; receivers make it safe and unique
	Software string    `json:"software"`       // program and version, for people
	Host     string    `json:"host,omitempty"` // host name, for people
	Auth     *Auth     `json:"auth,omitempty"`
	State    StateText `json:"state"`
	Accepts  []string  `json:"accepts"` // the keys of Settings that this sender can change while it runs
}

// Auth is how the two sides prove that they know a token, over TLS only: by a MAC
// that holds for this connection alone, or, from a sender that has checked the
// receiver's certificate and cannot make one, by the token.
type Auth struct {
	Token string `json:"token,omitempty"`
	Proof string `json:"proof,omitempty"`
}

// WelcomeText is the payload of a welcome.
type WelcomeText struct {
	Name     string `json:"name"` // the name under which the receiver shows this camera
	Software string `json:"software"`
	Auth     *Auth  `json:"auth,omitempty"` // the receiver's proof, where the sender gave one
}

// Settings is what a receiver may ask a sender to change. Keys that are absent
// stay as they are.
type Settings struct {
	Mode       *string          `json:"mode,omitempty"`   // sequence, continuous
	Port       *string          `json:"port,omitempty"`   // video, still
	Format     *string          `json:"format,omitempty"` // jpeg, yuv, rgb
	Width      *int             `json:"width,omitempty"`
	Height     *int             `json:"height,omitempty"`
	FPS        *float64         `json:"fps,omitempty"`
	Quality    *int             `json:"quality,omitempty"`    // 1..100
	Policy     *string          `json:"policy,omitempty"`     // block, newest, …
	Congestion *string          `json:"congestion,omitempty"` // bbr, cubic, system
	Controls   map[string]int64 `json:"controls,omitempty"`   // driver controls by name
}

// Empty reports whether nothing is asked for.
func (s Settings) Empty() bool {
	return s.Mode == nil && s.Port == nil && s.Format == nil && s.Width == nil && s.Height == nil && s.FPS == nil &&
		s.Quality == nil && s.Policy == nil && s.Congestion == nil && len(s.Controls) == 0
}

// StateText is what a camera really does now: read back from the driver, not
// repeated from the request.
type StateText struct {
	Mode       string  `json:"mode"`
	Port       string  `json:"port"`
	Format     string  `json:"format"` // what is sent: jpeg, yuv, rgb …
	Width      int     `json:"width"`
	Height     int     `json:"height"`
	FPS        float64 `json:"fps"` // nominal; 0 = unknown
	Quality    int     `json:"quality,omitempty"`
	Policy     string  `json:"policy"`
	Congestion string  `json:"congestion,omitempty"` // the algorithm that the kernel reports; empty = unknown
	Gate       int     `json:"gate_bytes,omitempty"` // bytes that may be queued in the kernel when the next frame is taken
	Codec      string  `json:"codec,omitempty"`      // how frames are encoded, for people

	Adapting string `json:"adapting,omitempty"` // by what means frames are kept within the target latency

	Camera   json.RawMessage `json:"camera,omitempty"`   // capture.Info
	Controls json.RawMessage `json:"controls,omitempty"` // list of capture.Control

	Machine json.RawMessage `json:"machine,omitempty"` // of the camera: model, kernel, temperature … (doctor.Reading)

	Error string `json:"error,omitempty"` // why a control was refused, or why the camera gives nothing
	Hint  string `json:"hint,omitempty"`
}

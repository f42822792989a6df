package wire

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"testing"

	"framepipe/frame"
)

var update = flag.Bool("update", false, "rewrite testdata/v1.json")

// vector is one message in testdata/v1.json. Fields are named as in PROTOCOL.md.
type vector struct {
	Name    string         `json:"name"`
	Type    string         `json:"type"`
	Hex     string         `json:"hex"` // the whole message: prefix, header, payload
	Fields  map[string]any `json:"fields,omitempty"`
	Payload string         `json:"payload,omitempty"` // as text
	Error   string         `json:"error,omitempty"`   // short, too_large
}

func counts(base uint64) frame.Counts {
	c := frame.Counts{Sent: base}
	for i := range c.Lost {
		c.Lost[i] = base + uint64(i) + 1
	}
	c.Offered = c.Sent + c.LostTotal()
	return c
}

func countFields(m map[string]any, c frame.Counts) map[string]any {
	m["offered"], m["sent"], m["lost"] = c.Offered, c.Sent, c.Lost[:]
	return m
}

func vectors() []vector {
	var v []vector
	add := func(name, typ string, head []byte, payload string, fields map[string]any) {
		v = append(v, vector{Name: name, Type: typ, Hex: hex.EncodeToString(append(head, payload...)), Fields: fields, Payload: payload})
	}
	bad := func(name, typ, err string, b []byte) {
		v = append(v, vector{Name: name, Type: typ, Hex: hex.EncodeToString(b), Error: err})
	}
	hello := Hello{Version: 1, Session: 0x1122334455667788, Now: 123456789012345, Counts: counts(5)}
	text := `{"name":"door","software":"framepipe test","state":{"mode":"sequence","port":"video","format":"jpeg","width":320,"height":240,"fps":30,"policy":"newest"},"accepts":["quality"]}`
	add("hello", "HELLO", hello.Append(nil, len(text)), text, countFields(map[string]any{"version": 1, "session": "1122334455667788", "now": hello.Now}, hello.Counts))
	welcome := Welcome{Version: 1, MaxFrame: 32 << 20, Session: hello.Session, LastSeq: 77, Received: 70}
	add("welcome", "WELCOME", welcome.Append(nil, len(`{"name":"door","software":"x"}`)), `{"name":"door","software":"x"}`,
		map[string]any{"version": 1, "max_frame": welcome.MaxFrame, "session": "1122334455667788", "last_seq": 77, "received": 70})
	m := frame.Meta{Seq: 41, Format: frame.JPEG, Width: 320, Height: 240, StampKind: frame.StampEnd, Counts: counts(9),
		SenderStamps: frame.SenderStamps{Captured: 1000, Dequeued: 2000, Encoded: 3000, SendStarted: 4000}}
	ff := func(m *frame.Meta) map[string]any {
		return countFields(map[string]any{"seq": m.Seq, "captured": m.Captured, "dequeued": m.Dequeued, "encoded": m.Encoded,
			"send_started": m.SendStarted, "format": m.Format.String(), "width": m.Width, "height": m.Height, "stride": m.Stride, "stamp_kind": int(m.StampKind)}, m.Counts)
	}
	add("frame jpeg", "FRAME", AppendFrame(nil, &m, 4), "\xff\xd8\xff\xd9", ff(&m))
	v[len(v)-1].Payload = ""
	raw := frame.Meta{Seq: 1 << 40, Format: frame.I420, Width: 330, Height: 250, Stride: 352, Counts: frame.Counts{Offered: 1, Sent: 1}}
	add("frame unknown stamps", "FRAME", AppendFrame(nil, &raw, 0), "", ff(&raw))
	ack := Ack{Seq: 41, FirstByte: 5_000_000, LastByte: 5_900_000, Received: 40, Rest: 67_000}
	add("ack", "ACK", ack.Append(nil), "", map[string]any{"seq": 41, "first_byte": ack.FirstByte, "last_byte": ack.LastByte, "received": 40, "rest": 67000})
	ping := Ping{ID: 3, T1: 99}
	add("ping", "PING", ping.Append(nil), "", map[string]any{"id": 3, "t1": 99})
	pong := Pong{ID: 3, T1: 99, T2: 1 << 50, T3: 1<<50 + 17}
	add("pong", "PONG", pong.Append(nil), "", map[string]any{"id": 3, "t1": 99, "t2": pong.T2, "t3": pong.T3})
	set := `{"quality":60,"controls":{"brightness":12}}`
	add("control", "CONTROL", AppendControl(nil, 8, len(set)), set, map[string]any{"id": 8})
	add("state", "STATE", AppendState(nil, 8, len(`{"quality":60}`)), `{"quality":60}`, map[string]any{"id": 8})
	bye := Bye{Reason: ReasonEnd, Received: 12, Counts: counts(2)}
	add("bye", "BYE", bye.Append(nil, 4), "done", countFields(map[string]any{"reason": 0, "received": 12}, bye.Counts))
	rep := Report{Now: 55, Counts: counts(3)}
	add("report", "REPORT", rep.Append(nil), "", countFields(map[string]any{"now": 55}, rep.Counts))

	longer := ping.Append(nil)
	le.PutUint16(longer[2:], 20)
	add("ping with bytes past those known", "PING", append(longer, 1, 2, 3, 4), "", map[string]any{"id": 3, "t1": 99})
	add("unknown type is skipped", "type 200", append(begin(nil, 200)[:2], 2, 0, 3, 0, 0, 0, 9, 9), "abc", nil)
	more := AppendFrame(nil, &m, 0)
	le.PutUint16(more[PrefixSize+frameFixed:], uint16(frame.SenderCauses)+1)
	more = le.AppendUint64(more, 6)
	le.PutUint16(more[2:], uint16(len(more)-PrefixSize))
	mf := m
	mf.Counts.Lost[frame.LostCorrupt] += 6
	add("frame with a cause that we do not know", "FRAME", more, "", ff(&mf))

	bad("frame header cut", "FRAME", "short", cut(AppendFrame(nil, &m, 0)))
	bad("ack header cut", "ACK", "short", cut(ack.Append(nil)))
	bad("counts claim more than is there", "REPORT", "short", func() []byte {
		b := rep.Append(nil)
		le.PutUint16(b[PrefixSize+8:], 60000)
		return b
	}())
	bad("frame payload of 4 GiB", "FRAME", "too_large", []byte{3, 0, 0, 0, 0xff, 0xff, 0xff, 0xff})
	bad("control payload of 16 MiB", "CONTROL", "too_large", []byte{7, 0, 8, 0, 0, 0, 0, 1})
	bad("header of 65535 bytes", "PING", "too_large", []byte{5, 0, 0xff, 0xff, 0, 0, 0, 0})
	return v
}

// cut shortens a message's header by one byte.
func cut(b []byte) []byte {
	b = b[:len(b)-1]
	le.PutUint16(b[2:], uint16(len(b)-PrefixSize))
	return b
}

// parse reads a whole message into the fields of a vector.
func parse(b []byte) (typ string, fields map[string]any, payload []byte, err error) {
	if len(b) < PrefixSize {
		return "", nil, nil, ErrShort
	}
	p, err := ParsePrefix(b, 32<<20)
	typ = p.Type.String()
	if err != nil {
		return typ, nil, nil, err
	}
	if len(b) < PrefixSize+p.Header+p.Payload {
		return typ, nil, nil, ErrShort
	}
	h, payload := b[PrefixSize:PrefixSize+p.Header], b[PrefixSize+p.Header:]
	switch p.Type {
	case TypeHello:
		var m Hello
		err = m.Parse(h)
		fields = countFields(map[string]any{"version": m.Version, "session": hex16(m.Session), "now": m.Now}, m.Counts)
	case TypeWelcome:
		var m Welcome
		err = m.Parse(h)
		fields = map[string]any{"version": m.Version, "max_frame": m.MaxFrame, "session": hex16(m.Session), "last_seq": m.LastSeq, "received": m.Received}
	case TypeFrame:
		var m frame.Meta
		err = ParseFrame(h, &m)
		fields = countFields(map[string]any{"seq": m.Seq, "captured": m.Captured, "dequeued": m.Dequeued, "encoded": m.Encoded,
			"send_started": m.SendStarted, "format": m.Format.String(), "width": m.Width, "height": m.Height, "stride": m.Stride, "stamp_kind": int(m.StampKind)}, m.Counts)
	case TypeAck:
		var m Ack
		err = m.Parse(h)
		fields = map[string]any{"seq": m.Seq, "first_byte": m.FirstByte, "last_byte": m.LastByte, "received": m.Received, "rest": m.Rest}
	case TypePing:
		var m Ping
		err = m.Parse(h)
		fields = map[string]any{"id": m.ID, "t1": m.T1}
	case TypePong:
		var m Pong
		err = m.Parse(h)
		fields = map[string]any{"id": m.ID, "t1": m.T1, "t2": m.T2, "t3": m.T3}
	case TypeControl, TypeState:
		var id uint32
		id, err = ParseID(p.Type, h)
		fields = map[string]any{"id": id}
	case TypeBye:
		var m Bye
		err = m.Parse(h)
		fields = countFields(map[string]any{"reason": m.Reason, "received": m.Received}, m.Counts)
	case TypeReport:
		var m Report
		err = m.Parse(h)
		fields = countFields(map[string]any{"now": m.Now}, m.Counts)
	}
	return typ, fields, payload, err
}

func hex16(v uint64) string {
	b := le.AppendUint64(nil, v)
	for i, j := 0, 7; i < j; i, j = i+1, j-1 {
		b[i], b[j] = b[j], b[i]
	}
	return hex.EncodeToString(b)
}

func canonical(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestVectors(t *testing.T) {
	if *update {
		b, _ := json.MarshalIndent(vectors(), "", " ")
		if err := os.WriteFile("testdata/v1.json", append(b, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile("testdata/v1.json")
	if err != nil {
		t.Fatal(err)
	}
	var file []vector
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	now := vectors()
	if len(now) != len(file) {
		t.Fatalf("%d vectors in the file, %d in the test; run with -update if the change is meant", len(file), len(now))
	}
	for i, v := range file {
		t.Run(v.Name, func(t *testing.T) {
			if v.Hex != now[i].Hex {
				t.Errorf("we write\n %s\nthe specification says\n %s", now[i].Hex, v.Hex)
			}
			raw, err := hex.DecodeString(v.Hex)
			if err != nil {
				t.Fatal(err)
			}
			typ, fields, payload, err := parse(raw)
			if typ != v.Type {
				t.Errorf("type %q, want %q", typ, v.Type)
			}
			want := map[string]error{"": nil, "short": ErrShort, "too_large": ErrTooLarge}[v.Error]
			if !errors.Is(err, want) {
				t.Fatalf("error %v, want %v", err, want)
			}
			if err != nil {
				return
			}
			if v.Fields != nil && canonical(t, fields) != canonical(t, now[i].Fields) {
				t.Errorf("fields\n %s\nwant\n %s", canonical(t, fields), canonical(t, now[i].Fields))
			}
			if v.Payload != "" && string(payload) != v.Payload {
				t.Errorf("payload %q, want %q", payload, v.Payload)
			}
		})
	}
}

// Every message cut at every byte gives an error, never a panic or half a value.
func TestCutAtEveryByte(t *testing.T) {
	for _, v := range vectors() {
		if v.Error != "" {
			continue
		}
		raw, _ := hex.DecodeString(v.Hex)
		for n := range raw {
			if _, _, _, err := parse(raw[:n]); err == nil {
				t.Errorf("%s cut to %d of %d bytes: no error", v.Name, n, len(raw))
			}
		}
	}
}

func TestPreambleIsNoV0Length(t *testing.T) {
	if n := ParseV0(Preamble[:]); n <= MaxFrameLimit {
		t.Errorf("preamble reads as a v0 frame of %d bytes, which a limit of %d allows", n, MaxFrameLimit)
	}
	if n := ParseV0(AppendV0(nil, 67621)); n != 67621 {
		t.Errorf("v0 length came back as %d", n)
	}
}

func TestAppendFrameAllocatesNothing(t *testing.T) {
	buf := make([]byte, 0, FrameHeaderSize)
	m := frame.Meta{Counts: counts(1)}
	if n := testing.AllocsPerRun(100, func() { buf = AppendFrame(buf[:0], &m, 5) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if len(buf) != FrameHeaderSize {
		t.Errorf("header of %d bytes, FrameHeaderSize says %d", len(buf), FrameHeaderSize)
	}
}

func FuzzParse(f *testing.F) {
	for _, v := range vectors() {
		raw, _ := hex.DecodeString(v.Hex)
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		typ, fields, _, err := parse(b)
		if err != nil || typ != "FRAME" {
			return
		}
		var m frame.Meta
		p, _ := ParsePrefix(b, 32<<20)
		if err := ParseFrame(b[PrefixSize:PrefixSize+p.Header], &m); err != nil {
			t.Fatal(err)
		}
		again := AppendFrame(nil, &m, p.Payload)
		_, back, _, err := parse(append(again, bytes.Repeat([]byte{0}, p.Payload)...))
		if err != nil {
			t.Fatalf("what we wrote does not read: %v", err)
		}
		if canonical(t, back) != canonical(t, fields) {
			t.Fatalf("round trip changed\n %s\ninto\n %s", canonical(t, fields), canonical(t, back))
		}
	})
}

package repo

import (
	"reflect"
	"strings"
	"testing"

	"framepipe/internal/doctor"
	"framepipe/stream"
	"framepipe/wire"
)

// Every key of the wire's JSON is named in PROTOCOL.md.
func TestProtocolNamesEveryKey(t *testing.T) {
	doc := read(t, "PROTOCOL.md")
	for _, v := range []any{wire.HelloText{}, wire.Auth{}, wire.WelcomeText{}, wire.Settings{}, wire.StateText{}, doctor.Reading{}, doctor.WiFi{}, doctor.Process{}} {
		typ := reflect.TypeOf(v)
		for i := range typ.NumField() {
			f := typ.Field(i)
			key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			if key == "" || !strings.Contains(doc, "`"+key+"`") && !strings.Contains(doc, "auth."+key) && !strings.Contains(doc, `"`+key+`"`) {
				t.Errorf("%v.%s is %q on the wire, which PROTOCOL.md does not name", typ, f.Name, key)
			}
		}
	}
	if f, ok := reflect.TypeFor[stream.Status]().FieldByName("Breaks"); !ok || f.Tag.Get("json") != "disconnects" || !strings.Contains(doc, "`disconnects`") {
		t.Error("PROTOCOL.md does not say where disconnects are counted")
	}
}

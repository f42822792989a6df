package secure

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A state folder that an earlier version left: what was given to cameras and browsers then
// still holds. These strings must never change.
func TestStateOfAnEarlierVersion(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"token", "receiver.pem"} {
		b, err := os.ReadFile(filepath.Join("testdata", "state", name)) // made for this test, and nobody's
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	token, err := KeepToken(dir)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := NewKeys(token)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := KeepCertificate(dir)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	pin := PinOf(leaf)
	got := Connect{Address: "127.0.0.1:2222", Token: keys.SendToken(), Pin: &pin}.String()
	if want := "framepipe://sU3fWJ-LOWrjJ1inZlBmGutk@127.0.0.1:2222/zWG068s8psSdpEbGPTtXkuh37DwM-vN1CNcKJqrWJP4"; got != want {
		t.Errorf("the connect string is %s now; it was %s", got, want)
	}
	if got, want := keys.ViewToken(), "fE2hrRhdidX6WX7RZPrgaJ2K"; got != want {
		t.Errorf("the token for viewing is %s now; it was %s", got, want)
	}
	const login = "AAAAAPKlI4ACrpoKoTr9wrom5KHtKFypsjwCJrEnB5R4CHfeNI3FBVA"
	if got := keys.CookieRights(login, time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)); got != View {
		t.Errorf("a login of then has the rights %b", got)
	}
	for _, name := range []string{"token", "receiver.pem"} {
		was, _ := os.ReadFile(filepath.Join("testdata", "state", name))
		if is, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(is) != string(was) {
			t.Errorf("%s was written anew: %v", name, err)
		}
	}
	if list, err := os.ReadDir(dir); err != nil || len(list) != 2 {
		t.Errorf("the folder has %v, %v", list, err)
	}
}

// Files are written whole or not at all: what is there stays if there is no room for more.
func TestStateIsWrittenWhole(t *testing.T) {
	dir := t.TempDir()
	first, err := KeepToken(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := writePrivate(filepath.Join(dir, "token", "below"), []byte("x")); err == nil {
		t.Error("a file is no folder")
	}
	if again, err := KeepToken(dir); err != nil || again != first {
		t.Errorf("the token is %q, was %q: %v", again, first, err)
	}
	if list, err := os.ReadDir(dir); err != nil || len(list) != 1 {
		t.Errorf("something is left over: %v, %v", list, err)
	}
}

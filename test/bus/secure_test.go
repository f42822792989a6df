//go:build linux

package main

import (
	"bytes"
	"crypto/sha512"
	"encoding/base32"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nkeys"

	"framepipe/test/certs"
)

// nkey is an identity of NATS.
func nkey(t *testing.T, create func() (nkeys.KeyPair, error)) (nkeys.KeyPair, string) {
	t.Helper()
	k, err := create()
	if err != nil {
		t.Fatal(err)
	}
	public, err := k.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	return k, public
}

// token is a JWT as NATS has it, version 2.
func token(t *testing.T, by nkeys.KeyPair, subject, name string, claims map[string]any) string {
	t.Helper()
	issuer, err := by.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	claims["version"] = 2
	body := map[string]any{"iat": time.Now().Unix(), "iss": issuer, "sub": subject, "name": name, "nats": claims}
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha512.Sum512_256(text)
	body["jti"] = base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:])
	if text, err = json.Marshal(body); err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding
	signed := b64.EncodeToString([]byte(`{"typ":"JWT","alg":"ed25519-nkey"}`)) + "." + b64.EncodeToString(text)
	sig, err := by.Sign([]byte(signed))
	if err != nil {
		t.Fatal(err)
	}
	return signed + "." + b64.EncodeToString(sig)
}

// A bus that lets in only who has credentials, over TLS with a company's own
// certificates, and that lets the hall look and not publish.
func TestBusWithCredentialsAndTLS(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("nats-server"); err != nil {
		t.Skip("needs nats-server (apt-get install nats-server)")
	}
	r := &rig{t, nil}
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	ca := certs.New(t, dir)
	ca.Server("server")
	ca.Client("client")
	write := func(name string, b []byte) {
		t.Helper()
		if err := os.WriteFile(file(name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}

	operator, operatorID := nkey(t, nkeys.CreateOperator)
	account, accountID := nkey(t, nkeys.CreateAccount)
	unlimited := map[string]any{"subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true, "conn": -1, "leaf": -1}
	user := func(name string, by nkeys.KeyPair, may map[string]any) {
		k, id := nkey(t, nkeys.CreateUser)
		seed, err := k.Seed()
		if err != nil {
			t.Fatal(err)
		}
		claims := map[string]any{"type": "user", "subs": -1, "data": -1, "payload": -1, "pub": map[string]any{}, "sub": map[string]any{}}
		for k, v := range may {
			claims[k] = map[string]any{"allow": v}
		}
		write(name+".creds", fmt.Appendf(nil, "-----BEGIN NATS USER JWT-----\n%s\n------END NATS USER JWT------\n\n-----BEGIN USER NKEY SEED-----\n%s\n------END USER NKEY SEED------\n",
			token(t, by, id, name, claims), seed))
	}
	user("studio", account, nil)
	user("hall", account, map[string]any{"pub": []string{"framepipe.*.clock"}, "sub": []string{"framepipe.>", "_INBOX.>"}}) // as docs/bus.md says
	stranger, _ := nkey(t, nkeys.CreateAccount)
	user("stranger", stranger, nil)

	ports, err := freePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	write("server.conf", fmt.Appendf(nil, "listen: 127.0.0.1:%d\ntls {cert_file: %q, key_file: %q, ca_file: %q, verify: true}\noperator: %s\nresolver: MEMORY\nresolver_preload: {%s: %s}\n", ports[0],
		file("server.pem"), file("server.key"), file("ca.pem"), token(t, operator, operatorID, "operator", map[string]any{"type": "operator"}),
		accountID, token(t, operator, accountID, "account", map[string]any{"type": "account", "limits": unlimited})))
	server := exec.Command("nats-server", "-c", file("server.conf"))
	var log bytes.Buffer // read after the end
	server.Stdout, server.Stderr = &log, &log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		server.Process.Kill()
		server.Wait()
		if t.Failed() {
			t.Logf("the server says\n%s", &log)
		}
	})
	url := fmt.Sprintf("127.0.0.1:%d", ports[0])
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		c, err := net.Dial("tcp", url)
		if err == nil {
			c.Close()
			break
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
	receive := func(name string, more ...string) []string {
		return append([]string{"receive", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--bus", "tls://" + url, "--bus-name", name, "--bus-ca", file("ca.pem"),
			"--bus-cert", file("client.pem"), "--bus-key", file("client.key"), "--bus-creds", file(name + ".creds")}, more...)
	}
	studio := r.start(receive("studio")...)
	r.start("send", "--source", "pattern", "-W", "320", "-H", "240", "--name", "door", r.says(studio, `waiting for cameras on (\S+)`))
	hall := r.start(receive("hall", "--from-bus", "*")...)
	page := r.says(hall, `the page is at (http://\S+/)`)
	c := r.until(page, "studio.door", "measured", func(c cameraState) bool { return c.Live.Delivered > 30 && c.Clock != nil })
	if c.Live.Imbalance != 0 {
		t.Errorf("%+v", c)
	}
	r.picture(page + "cameras/studio.door/snapshot")

	without := func(flag string, args []string) []string {
		for i := range args {
			if args[i] == flag {
				return append(args[:i:i], args[i+2:]...)
			}
		}
		t.Fatalf("no %s in %v", flag, args)
		return nil
	}
	for what, args := range map[string][]string{
		"use --bus-creds":                           receive("stranger"),
		"name and password go into the URL":         without("--bus-creds", receive("studio")),
		"who vouches for the servers' certificates": without("--bus-ca", receive("studio")),
		"--bus-cert and --bus-key belong together":  without("--bus-key", receive("studio")),
		"error: bus: ":                              without("--bus-key", without("--bus-cert", receive("studio"))),
	} {
		out, err := exec.Command(program, args...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), what) || !strings.Contains(string(out), "error: ") {
			t.Errorf("%v: %v\n%s, want %q", args, err, out, what)
		}
	}
}

package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, programs())
}

// The scripts in testdata/script run the program as a user does. Beside
// testscript's own commands they have:
//
//	exits N command…   run it and hold its exit status against N
//	dial               wait until somebody listens on $ADDR
//	connectline A B    write the connect string of receive's output A to file B
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return err
			}
			defer ln.Close()
			_, port, _ := net.SplitHostPort(ln.Addr().String())
			e.Setenv("ADDR", ln.Addr().String())
			e.Setenv("PORT", port)
			e.Setenv("XDG_STATE_HOME", e.WorkDir)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "dial": dial, "connectline": connectLine,
		},
	})
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits N command…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if e, ok := errors.AsType[*exec.ExitError](err); ok {
		got = e.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
	stderr := ts.ReadFile("stderr")
	if want != 0 && strings.Count(stderr, "error: ") != 1 {
		ts.Fatalf("want exactly one error line, got:\n%s", stderr)
	}
}

func dial(ts *testscript.TestScript, neg bool, args []string) {
	addr := os.Expand("$ADDR", ts.Getenv)
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if c, err := net.Dial("tcp", addr); err == nil {
			c.Close()
			return
		}
	}
	ts.Fatalf("%s", fmt.Sprintf("nobody listens on %s", addr))
}

func connectLine(ts *testscript.TestScript, neg bool, args []string) {
	_, line, ok := strings.Cut(ts.ReadFile(args[0]), "framepipe send ")
	if neg || !ok {
		ts.Fatalf("no connect string in %s", args[0])
	}
	line, _, _ = strings.Cut(line, "\n")
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(line), 0o600))
}

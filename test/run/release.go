package main

import (
	"context"
	"fmt"
	"go/version"
	"os"
	"os/exec"
	"strings"
	"time"
)

// release has everything run with the Go release that binaries are made with
// (.go-version), if this machine's is older: the standard library is part of what is
// shipped. It comes from the module proxy, as the go command gets any release.
func (r *runner) release() {
	b, err := os.ReadFile(".go-version")
	want, have := "go"+strings.TrimSpace(string(b)), goVersion("")
	if err != nil || !version.IsValid(want) {
		r.fail(fmt.Sprintf(".go-version: %q, %v", b, err))
		return
	}
	r.goRelease = want
	switch {
	case version.Compare(have, want) >= 0:
		fmt.Fprintf(r.out, "with %s\n", have)
	case goVersion(want) == want:
		fmt.Fprintf(r.out, "with %s, as releases are made; this machine has %s\n", want, have)
		os.Setenv("GOTOOLCHAIN", want) // for all that is started from here
	default:
		fmt.Fprintf(r.out, "with %s: %s, with which releases are made, cannot be had\n", have, want)
	}
}

// goVersion is what the go command says that it is, with GOTOOLCHAIN unless empty.
func goVersion(toolchain string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute) // a download
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "env", "GOVERSION")
	cmd.WaitDelay = time.Second
	if toolchain != "" {
		cmd.Env = append(os.Environ(), "GOTOOLCHAIN="+toolchain)
	}
	out, _ := cmd.Output()
	return strings.TrimSpace(string(out))
}

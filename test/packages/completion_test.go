//go:build packages && linux

package packages

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The shells complete commands and flags from the files that the package brings; of
// zsh's, only that zsh can read it.
func TestCompletion(t *testing.T) {
	need(t, "fish", "fish")
	need(t, "zsh", "zsh")
	const library = "/usr/share/bash-completion/bash_completion" // what reads the package's file for bash
	if _, err := os.Stat(library); err != nil {
		t.Skip("needs bash-completion (apt-get install bash-completion)")
	}
	r := &root{t, t.TempDir()}
	run(t, "dpkg", "-x", build(t, "0.1.0", "linux-amd64", "amd64"), r.dir)
	file := func(name string) string { return filepath.Join(r.dir, "usr/share", name) }
	ask := func(shell, script string) string {
		t.Helper()
		cmd := command(shell, "-c", script)
		cmd.Env = append(cmd.Env, "PATH="+filepath.Join(r.dir, "usr/bin")+":"+os.Getenv("PATH"), "HOME="+t.TempDir())
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", shell, err, out)
		}
		return string(out)
	}
	for line, want := range map[string]string{"framepipe rec": "receive", "framepipe send --cong": "--congestion"} {
		words := strings.Fields(line)
		out := ask("bash", "source "+library+"; source "+file("bash-completion/completions/framepipe")+`
			COMP_LINE='`+line+`' COMP_POINT=${#COMP_LINE} COMP_WORDS=(`+line+`) COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMP_TYPE=9
			set -- $(complete -p framepipe); while [ "$1" != -F ]; do shift; done
			"$2" framepipe '`+words[len(words)-1]+`' '`+words[len(words)-2]+`'; printf '%s\n' "${COMPREPLY[@]}"`)
		if strings.TrimSpace(out) != want {
			t.Errorf("bash completes %q with %q", line, out)
		}
		out = ask("fish", "source "+file("fish/vendor_completions.d/framepipe.fish")+"; complete -C '"+line+"'")
		if !strings.HasPrefix(out, want+"\t") || strings.Count(out, "\n") != 1 {
			t.Errorf("fish completes %q with %q", line, out)
		}
	}
	if out, err := exec.Command("zsh", "-n", file("zsh/vendor-completions/_framepipe")).CombinedOutput(); err != nil {
		t.Errorf("zsh: %v\n%s", err, out)
	}
}

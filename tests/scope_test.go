package tests

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/pidfd-shim/pidfd-shim/internal/kernel"
	"github.com/pidfd-shim/pidfd-shim/tests/skip"
)

// TestScopeSignals has the kernel keep signals inside: COMMAND ends its own children and
// itself, and reaches neither us nor anybody else; there is no filter.
func TestScopeSignals(t *testing.T) {
	if !kernel.LandlockScopesSignals() {
		skip.Extra(t, errors.New("no Landlock of the sixth ABI (Linux 6.12)"))
	}
	shim := buildShim(t)
	const script = `sleep 60 & kill $! && wait $!; echo child=$?
kill -0 "$0" 2>/dev/null; echo outside=$?
kill -0 $PPID 2>/dev/null; echo supervisor=$?
grep ^Seccomp: /proc/self/status
trap 'echo caught' USR1; kill -USR1 $$; exit 7`
	sleeper := exec.Command("sleep", "600")
	sleeper.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := sleeper.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = sleeper.Process.Kill()
		_ = sleeper.Wait()
	}()
	outsider := strconv.Itoa(sleeper.Process.Pid)
	for name, wrap := range map[string][]string{
		"root": nil, "user": {"setpriv", "--reuid", "1000", "--regid", "1000", "--clear-groups"},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "user" && os.Getuid() != 0 {
				t.Skip("already one")
			}
			argv := append(wrap, shim, "run", "--scope-signals", "--", "bash", "-c", script, outsider)
			stdout, stderr, err := attackSaid(t, argv)
			got := strings.Fields(strings.ReplaceAll(stdout, "\t", ""))
			want := "child=143 outside=1 supervisor=1 Seccomp:0 caught"
			if strings.Join(got, " ") != want || exitCode(err) != 7 {
				t.Errorf("%s: %v\n%q, want %q; stderr %s", shellLine(argv), err, got, want, stderr)
			}
		})
	}
	for _, flag := range []string{"--trace", "--audit=/dev/null", "--mode=forward"} {
		_, stderr, err := attackSaid(t, []string{shim, "run", "--scope-signals", flag, "--", "true"})
		if exitCode(err) != 125 || !strings.Contains(stderr, "excludes "+strings.Split(flag, "=")[0]) {
			t.Errorf("%s: %v, %q", flag, err, stderr)
		}
	}
	file := filepath.Join(t.TempDir(), "inside.yaml")
	replace(t, file, "version: 1\nsyscalls: all\ndefault: deny\nrules:\n  - {name: inside, action: allow, match: {target: {relation: [sandbox]}}}\n")
	if said := attackOutput(t, []string{shim, "policy", "check", file}); !strings.Contains(said, `"run --scope-signals" would do`) {
		t.Errorf("policy check says %q", said)
	}
}

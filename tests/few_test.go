package tests

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// TestManyTasksFewDescriptors: a supervisor that may have 32 descriptors answers more callers and
// targets than that, with an observer that keeps handles of its own, too: what it cannot have
// now it waits for, having given something back.
func TestManyTasksFewDescriptors(t *testing.T) {
	for _, backend := range []string{"notify", "ptrace"} {
		for _, mode := range []string{"forward", "emulate"} {
			t.Run(backend+"/"+mode, func(t *testing.T) {
				t.Parallel()
				argv := attackIn(t, mode, "m64", "few")
				limited := []string{"sh", "-c", `ulimit -n 32 && exec "$@"`, "sh"}
				argv = slices.Concat(limited, argv[:2], []string{"--backend", backend, "--audit=" + filepath.Join(t.TempDir(), "audit")}, argv[2:])
				expect(t, argv, attackNumbers(t, argv), map[string]int{"bad": 0})
			})
		}
	}
}

// TestWaitRefused: a filter around us refuses the calls by which children are waited for. What
// comes again each time is no reason to try again: run ends.
func TestWaitRefused(t *testing.T) {
	for _, backend := range []string{"notify", "ptrace"} {
		argv := attackIn(t, "native", "m64", "refused", fmt.Sprintf("nr=%d", unix.SYS_WAIT4), "--", buildShim(t), "run", "--backend", backend, "--", "/bin/true")
		_, complained, err := attackSaid(t, argv)
		var status *exec.ExitError
		if !errors.As(err, &status) || status.ExitCode() != 125 || complained == "" {
			t.Errorf("%s: %v, %q: want 125 and a reason", shellLine(argv), err, complained)
		}
	}
}

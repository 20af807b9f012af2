package tests

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/tests/skip"
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

// crowdedUID and the numbers after it are nobody else's: tasks are counted by user.
const crowdedUID = 54_300

// TestCommandTakesEveryTask: a command forks until its user may have no more tasks, which the
// supervisor runs as, too, and then has thousands of calls judged. Each is answered, and neither
// the supervisor nor a child of the command's is left.
func TestCommandTakesEveryTask(t *testing.T) {
	if os.Geteuid() != 0 {
		skip.If(t, errors.New("only root can become other users"))
	}
	policy := filepath.Join(shortDir(t), "own.yaml")
	const text = "version: 1\nsyscalls: all\ndefault: deny\nrules:\n  - {name: own, action: allow, match: {target: {relation: [self, descendant]}}}\n"
	if err := errors.Join(os.WriteFile(policy, []byte(text), 0o644), os.Chmod(filepath.Dir(policy), 0o755)); err != nil {
		t.Fatal(err)
	}
	uid := crowdedUID
	for _, backend := range []string{"notify", "ptrace"} {
		for _, mode := range []string{"auto", "forward", "caller"} {
			uid++
			user := strconv.Itoa(uid)
			t.Run(backend+"/"+mode, func(t *testing.T) {
				argv := attackIn(t, mode, "m64", "crowded", "calls="+strconv.Itoa(soak(4000, 20_000)))
				limited := []string{"setpriv", "--reuid", user, "--regid", user, "--clear-groups", "--", "prlimit", "--nproc=150", "--"}
				argv = slices.Concat(limited, argv[:2], []string{"--backend", backend, "--policy", policy}, argv[2:])
				got := attackNumbers(t, argv)
				expect(t, argv, got, map[string]int{"bad": 0})
				if got["children"] < 50 {
					t.Errorf("%d children are not every task", got["children"])
				}
				awaitNobody(t, user)
			})
		}
	}
}

// awaitNobody waits for a user's processes to be gone.
func awaitNobody(t *testing.T, user string) {
	t.Helper()
	for deadline := time.Now().Add(agentDeadline); ; {
		out, _ := exec.Command("ps", "-o", "pid=,args=", "-u", user).Output()
		if len(out) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("left behind: %s", out)
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

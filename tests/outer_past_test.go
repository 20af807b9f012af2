package tests

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// descriptorCalls are what a sandbox knows that was written before them, or forbids.
var descriptorCalls = []int{unix.SYS_PIDFD_SEND_SIGNAL, unix.SYS_PIDFD_OPEN}

// inOuter is a command line in a sandbox whose filter acts on some calls.
func inOuter(t *testing.T, action string, calls []int, argv ...string) []string {
	t.Helper()
	line := attackIn(t, "native", "m64", "outer", action)
	for _, nr := range calls {
		line = append(line, fmt.Sprint(nr))
	}
	return slices.Concat(line, []string{"--"}, argv)
}

// pastSandbox are the ways past a sandbox that answers first: what it does, and run's flags.
var pastSandbox = []struct {
	action string
	flags  []string
}{
	{"1", []string{"--intercept", "entry"}},
	{"38", []string{"--intercept", "entry"}},
	{"trap", []string{"--intercept", "entry"}},
	{"log", []string{"--intercept", "entry"}},
	{"trap", nil},
}

// TestPastSandbox: in a sandbox that refuses or traps the calls a program under the shim has them
// all the same, as on a kernel without a sandbox.
func TestPastSandbox(t *testing.T) {
	shim := buildShim(t)
	exceptions, err := readExceptions()
	if err != nil {
		t.Fatal(err)
	}
	for i, way := range pastSandbox {
		width := widths[i%len(widths)]
		calls := buildFamily(t, width)
		run := slices.Concat([]string{shim, "run", "--wait", "all"}, way.flags, []string{"--"})
		native := play(t, calls)
		argv := inOuter(t, way.action, descriptorCalls, append(slices.Clone(run), calls)...)
		if said := play(t, argv...); said != native {
			t.Errorf("%s\nnatively:\n%sunder the shim:\n%s", shellLine(argv), native, said)
		}
		truth := []string{buildTruth(t, "truth", width), "--every", fmt.Sprint(128 / soak(1, 64))}
		argv = inOuter(t, way.action, descriptorCalls, slices.Concat(run, truth)...)
		v := judge(withoutOuter(runTruth(t, truth...)), withoutOuter(runTruth(t, argv...)), exceptions, "family", width, true)
		t.Logf("%s %v %s: %s", way.action, way.flags, width, v)
		report(t, v, width+"-family", argv)
	}
}

// withoutOuter leaves out what shows the sandbox's filter.
func withoutOuter(rows []row) []row {
	return slices.DeleteFunc(rows, func(r row) bool { return strings.HasPrefix(r.id, "around/status") })
}

// TestPastSandboxPolicy: what a policy denies is denied there, by registers and by target.
func TestPastSandboxPolicy(t *testing.T) {
	victim := exec.Command("sleep", "1000")
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = victim.Process.Kill(); _ = victim.Wait() }()
	path := filepath.Join(t.TempDir(), "policy.yaml")
	const policy = "version: 1\nsyscalls: all\nerrno: EACCES\ndefault: allow\nrules:\n" +
		"  - {name: signal, action: deny, match: {signals: [SIGTERM]}}\n  - {name: target, action: deny, match: {target: {comm: [sleep]}}}\n"
	if err := os.WriteFile(path, []byte(policy), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, way := range pastSandbox {
		for _, signal := range []string{"TERM", "USR1"} {
			words := slices.Concat([]string{"run", "--policy", path}, way.flags, []string{"--", buildShim(t), "send", signal, fmt.Sprint(victim.Process.Pid)})
			status, _, err := underOuter(t, way.action, descriptorCalls, words...)
			if status != 1 || !strings.Contains(err, "permission denied") {
				t.Errorf("%s %v %s: status %d, %q", way.action, way.flags, signal, status, err)
			}
		}
	}
	if err := victim.Process.Signal(unix.Signal(0)); err != nil {
		t.Errorf("the victim: %v", err)
	}
}

// TestOnTrapEnosys: what a sandbox traps, and is not ours, fails as on a kernel without the call.
func TestOnTrapEnosys(t *testing.T) {
	for flags, want := range map[string]struct {
		status int
		err    string
	}{
		"--on-trap=enosys": {1, "not implemented"},
		"--on-trap=signal": {128 + int(unix.SIGSYS), ""},
	} {
		status, _, err := underOuter(t, "trap", []int{unix.SYS_UNAME}, "run", flags, "--", "sh", "-c", "uname -a")
		if status != want.status || !strings.Contains(err, want.err) {
			t.Errorf("%s: status %d, %q", flags, status, err)
		}
	}
}

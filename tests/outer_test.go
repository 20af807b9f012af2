package tests

import (
	"context"
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// outerDeadline is for what either runs or is refused at once.
const outerDeadline = time.Minute

// underOuter runs the shim in a sandbox whose filter acts on some calls.
func underOuter(t *testing.T, action string, calls []int, words ...string) (status int, stdout, stderr string) {
	t.Helper()
	argv := attackIn(t, "native", "m64", "outer", action)
	for _, nr := range calls {
		argv = append(argv, fmt.Sprint(nr))
	}
	argv = slices.Concat(argv, []string{"--", buildShim(t)}, words)
	ctx, cancel := context.WithTimeout(t.Context(), outerDeadline)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	var out, errOut strings.Builder
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &out, &errOut, time.Second
	_ = cmd.Run()
	if ctx.Err() != nil {
		t.Fatalf("%s: hangs\n%s%s", shellLine(argv), out.String(), errOut.String())
	}
	if text := out.String() + errOut.String(); strings.Contains(text, "goroutine ") || strings.Contains(text, "SIGSYS:") {
		t.Errorf("%s: a trace:\n%.400s", shellLine(argv), text)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errOut.String()
}

// isOneLine holds an error of ours to its form.
func isOneLine(text string) bool {
	return strings.HasPrefix(text, "pidfd-shim: ") && strings.Count(text, "\n") == 1 && strings.HasSuffix(text, "\n")
}

// TestOuterFilterAnswersFirst: where a filter around us answers the call, run says so and
// what to do, in every mode; doctor names the outcome. One that only logs changes nothing, and
// what it traps a tracer gets at.
func TestOuterFilterAnswersFirst(t *testing.T) {
	for action, outcome := range map[string]string{
		"1": "answered by ERRNO EPERM", "38": "answered by ERRNO ENOSYS", "9": "answered by ERRNO EBADF",
		"trap": "trapped", "log": "reaches us",
	} {
		own := []int{unix.SYS_PIDFD_SEND_SIGNAL, unix.SYS_PIDFD_OPEN}
		if action == "9" { // which no kernel says of the second
			own = own[:1]
		}
		for _, backend := range []string{"notify", "ptrace"} {
			for _, mode := range []string{"auto", "caller", "emulate"} {
				status, out, err := underOuter(t, action, own, "run", "--backend", backend, "--mode", mode, "--", "echo", "ran")
				if outcome == "reaches us" || outcome == "trapped" && backend == "ptrace" {
					if status != 0 || out != "ran\n" || err != "" {
						t.Errorf("%s %s %s: status %d, %q %q", action, backend, mode, status, out, err)
					}
					continue
				}
				if status != 125 || out != "" || !isOneLine(err) || !strings.Contains(err, outcome) || !strings.Contains(err, "outside of that sandbox") {
					t.Errorf("%s %s %s: status %d, %q %q", action, backend, mode, status, out, err)
				}
			}
		}
		checkOuterDoctor(t, action, own, outcome)
	}
}

func checkOuterDoctor(t *testing.T, action string, calls []int, outcome string) {
	t.Helper()
	status, out, err := underOuter(t, action, calls, "doctor", "--json")
	var report struct {
		Reach []struct{ Call, Backend, Outcome string }
		Run   struct{ Available bool }
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, r := range report.Reach {
		if len(calls) == 1 && r.Call == "pidfd_open" {
			continue
		}
		if r.Outcome != outcome {
			t.Errorf("%s: doctor: %+v, want %s", action, r, outcome)
		}
	}
	reaches := outcome == "reaches us" || outcome == "trapped"
	if len(report.Reach) != 4 || report.Run.Available != reaches || (status == 0) != reaches || !reaches && !isOneLine(err) {
		t.Errorf("%s: doctor: status %d, %+v, %q", action, status, report, err)
	}
}

// TestOuterFilterOnOurCalls: what a filter around us does to the calls that we need is told in
// one line, or is no matter; never by a trace.
func TestOuterFilterOnOurCalls(t *testing.T) {
	for _, row := range []struct {
		name    string
		nr      int
		actions []string
		status  map[string]int // by backend
	}{
		{"clone3", unix.SYS_CLONE3, []string{"1", "trap"}, map[string]int{"notify": 125, "ptrace": 125}},
		{"clone3 missing", unix.SYS_CLONE3, []string{"38"}, map[string]int{"notify": 0, "ptrace": 0}},
		{"process_vm_readv", unix.SYS_PROCESS_VM_READV, []string{"1", "38", "trap"}, map[string]int{"notify": 0, "ptrace": 0}},
		{"kcmp", unix.SYS_KCMP, []string{"1", "38", "trap"}, map[string]int{"notify": 0, "ptrace": 0}},
		{"pidfd_getfd", unix.SYS_PIDFD_GETFD, []string{"1", "38", "trap"}, map[string]int{"notify": 0, "ptrace": 0}},
		{"pidfd_open", unix.SYS_PIDFD_OPEN, []string{"1", "38", "trap"}, map[string]int{"notify": 0, "ptrace": 0}},
		{"ptrace", unix.SYS_PTRACE, []string{"1", "38", "trap"}, map[string]int{"notify": 0, "ptrace": 125}},
		{"kill", unix.SYS_KILL, []string{"1", "38", "trap"}, map[string]int{"notify": 0, "ptrace": 0}},
		{"wait4", unix.SYS_WAIT4, []string{"1", "38", "trap"}, map[string]int{"notify": 125, "ptrace": 125}},
		{"seccomp", unix.SYS_SECCOMP, []string{"1", "38", "trap"}, map[string]int{"notify": 125, "ptrace": 125}},
	} {
		if row.name == "clone3" && !cgoShim(t) {
			continue // without a C library nobody calls it
		}
		for backend, want := range row.status {
			for _, action := range row.actions {
				status, _, err := underOuter(t, action, []int{row.nr}, "run", "--backend", backend, "--", "echo", "ran")
				if status != want || want == 0 && err != "" || want != 0 && !isOneLine(err) {
					t.Errorf("%s, %s, %s: status %d, want %d: %q", row.name, action, backend, status, want, err)
				}
			}
		}
	}
}

// TestOuterFilterOnMemory: without process_vm_readv callers' siginfo is read all the same.
func TestOuterFilterOnMemory(t *testing.T) {
	truth := buildTruth(t, "truth", "m64")
	rows := []string{buildShim(t), "run", "--mode", "forward", "--", truth, "--every", "9", "--procdirs"}
	outer := slices.Concat(attackIn(t, "native", "m64", "outer", "38", fmt.Sprint(unix.SYS_PROCESS_VM_READV), "--"), rows)
	without := map[string]string{}
	for _, r := range runTruth(t, outer...) {
		without[r.id] = r.line
	}
	compared := 0
	for _, r := range runTruth(t, rows...) {
		if strings.HasPrefix(r.id, "storm/") || strings.HasPrefix(r.id, "around/status") { // chance; the outer filter shows
			continue
		}
		if compared++; without[r.id] != r.line {
			t.Errorf("%s\n with it:    %s\n without it: %s", r.id, r.line, without[r.id])
		}
	}
	if compared < 100 {
		t.Errorf("%d rows compared", compared)
	}
}

// cgoShim tells whether the shim under test has a C library.
func cgoShim(t *testing.T) bool {
	t.Helper()
	out, _ := exec.Command("ldd", buildShim(t)).CombinedOutput()
	return strings.Contains(string(out), "libc.so")
}

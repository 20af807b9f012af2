package bench

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// needPrograms compiles the C programs, or skips on a machine that cannot have them.
func needPrograms(t *testing.T) programs {
	t.Helper()
	if _, err := compiler(); err != nil {
		t.Skip(err)
	}
	if err := unix.PidfdSendSignal(-1, 0, nil, 0); err != unix.EBADF {
		t.Skipf("pidfd_send_signal: %v", err)
	}
	p, err := build(t.Context(), t.TempDir(), StandIn)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func smokeContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func TestSmoke(t *testing.T) {
	needPrograms(t)
	report, err := run(smokeContext(t), StandIn, scale{rounds: 1, millis: 1, crowdMillis: 5, calls: 100})
	if err != nil {
		t.Fatal(err)
	}
	if !report.StandIn || len(report.Controls) != len(controls()) {
		t.Errorf("report of the stand-in: %+v", report)
	}
	// Fairness, size, memory and growth are rows that the plan has no comparison of its own for.
	if got, want := len(report.Rows), len(plan())+4; got != want {
		t.Errorf("%d rows, want %d", got, want)
	}
	for _, row := range append(report.Controls, report.Rows...) {
		if row.Status == StatusError || row.Status == "" {
			t.Errorf("%s: %s %s", row.Case, row.Status, row.Note)
		}
		if row.Cost <= 0 && !strings.Contains(row.Case, "growth") {
			t.Errorf("%s cost %v", row.Case, row.Cost)
		}
	}
}

// The floors must do what they are compared for: who sends, by the receiver's siginfo,
// and whether each call waits for a supervisor, by the switches of the caller.
func TestFloorsDoWhatTheyAreComparedFor(t *testing.T) {
	p := needPrograms(t)
	cc, err := compiler()
	if err != nil {
		t.Fatal(err)
	}
	sender := filepath.Join(t.TempDir(), "sender")
	if out, err := exec.Command(cc, "-O2", "-o", sender, "testdata/sender.c").CombinedOutput(); err != nil {
		t.Fatalf("compile sender.c: %v: %s", err, out)
	}
	const calls = 400
	for _, floor := range []struct {
		mode, sender string
		waits        bool
	}{
		{"allow-nr", "itself", false},
		{"allow-args", "itself", false},
		{"allow-all", "itself", false},
		{"errno", "EPERM", false},
		{"continue", "itself", true},
		{"forward", "its parent", true},
	} {
		cmd := exec.CommandContext(smokeContext(t), p.floor, "run", "--mode", floor.mode, "--", sender, strconv.Itoa(calls))
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v: %s", floor.mode, err, out)
		}
		if got := strings.TrimSpace(string(out)); got != floor.sender {
			t.Errorf("%s: %s sent, want %s", floor.mode, got, floor.sender)
		}
		usage, _ := cmd.ProcessState.SysUsage().(*syscall.Rusage)
		if waits := usage.Nvcsw > calls/2; waits != floor.waits {
			t.Errorf("%s: %d waits in %d calls", floor.mode, usage.Nvcsw, calls)
		}
	}
}

func TestWrongAnswerIsNoResult(t *testing.T) {
	p := needPrograms(t)
	for name, c := range map[string]command{
		"denied, but success expected": {under: floor, mode: "errno", call: "info"},
		"served, but denial expected":  {under: floor, mode: "forward", call: "info", errno: int(unix.EPERM)},
		"one of many":                  {under: floor, mode: "errno", call: "info", crowd: true},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := take(smokeContext(t), c.argv(p, scale{millis: 1, crowdMillis: 1}), true)
			if err == nil {
				t.Errorf("%+v, want an error", s)
			}
		})
	}
}

func TestBrokenShimIsARowNotTheEnd(t *testing.T) {
	needPrograms(t)
	broken := filepath.Join(t.TempDir(), "shim")
	if err := os.WriteFile(broken, []byte("#!/bin/sh\necho cannot run >&2\nexit 125\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	report, err := run(smokeContext(t), broken, scale{rounds: 1, millis: 1, crowdMillis: 1, calls: 100})
	if err != nil {
		t.Fatal(err)
	}
	failed := 0
	for _, row := range report.Rows {
		if row.Status == StatusError {
			failed++
			if !strings.Contains(row.Note, "cannot run") {
				t.Errorf("%s: note %q hides what the shim said", row.Case, row.Note)
			}
		}
	}
	if failed == 0 || report.Verdict == VerdictPass {
		t.Errorf("%d rows failed, verdict %s", failed, report.Verdict)
	}
}

func TestNoCompiler(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, err := Run(t.Context(), Options{Shim: StandIn})
	if err == nil || !strings.Contains(err.Error(), "apt-get install") || strings.Contains(err.Error(), "\n") {
		t.Errorf("error %v: want one line with the way out", err)
	}
}

func TestBrokenCompiler(t *testing.T) {
	dir := t.TempDir()
	script := "#!/bin/sh\necho 'caller.c:1: fatal error: errno.h: no such file' >&2\necho more >&2\nexit 1\n"
	if err := os.WriteFile(filepath.Join(dir, "cc"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	_, err := Run(t.Context(), Options{Shim: StandIn})
	if err == nil || !strings.Contains(err.Error(), "errno.h") || strings.Contains(err.Error(), "\n") {
		t.Errorf("error %v: want one line with the compiler's reason", err)
	}
}

func TestCancelled(t *testing.T) {
	needPrograms(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ctx, Options{Shim: StandIn}); err == nil {
		t.Error("a cancelled benchmark reported")
	}
}

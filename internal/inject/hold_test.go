package inject

import (
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/tracee"
)

// TestHoldsNobodyInVain: where the target has to be pinned and cannot be, the caller is not traced
// either. It would be let go of after its answer, and could be in its next call by then.
func TestHoldsNobodyInVain(t *testing.T) {
	runtime.LockOSThread() // tracees are a thread's
	defer runtime.UnlockOSThread()
	start := func(name string, args ...string) *exec.Cmd {
		cmd := exec.Command(name, args...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _, _ = cmd.Process.Kill(), cmd.Wait() })
		return cmd
	}
	caller, dead := start("sleep", "1000").Process.Pid, start("true").Process.Pid
	if err := unix.Waitid(unix.P_PID, dead, nil, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
	held := &tracee.Held{}
	h := &Injector{Set: &tracee.Set{Held: held}, Pins: &tracee.Pins{Held: held}}
	for _, row := range []struct {
		target int
		held   bool
	}{{-dead, false}, {dead, true}} {
		got, pinned := h.hold(int32(caller), int32(row.target))
		traced := tracerOf(t, caller) != "0"
		if got != row.held || traced != row.held || pinned {
			t.Errorf("target %d: held %t, traced %t, pinned %t; want %t, %t and false", row.target, got, traced, pinned, row.held, row.held)
		}
	}
	h.Set.Abandon()
}

// tracerOf is from /proc/PID/status.
func tracerOf(t *testing.T, pid int) string {
	t.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), "TracerPid:\t")
	tracer, _, _ := strings.Cut(after, "\n")
	return tracer
}

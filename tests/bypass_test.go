package tests

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What a program inside gets that tries to take its calls from its tracer, or to be or
// have one: docs/FIDELITY.md says the same.
func TestNoBypass(t *testing.T) {
	shim := buildShim(t)
	for _, c := range []struct {
		scene, want string
		calls       int // in the trace
	}{
		{"listener", "listener: EBUSY", 0},
		{"ptrace", "traceme: EPERM\nseize: EPERM", 0},
		{"traceme-child", "traceme: EPERM\nCALL untraced by its parent: 0\nchild: exited 3", 1},
		{"untraced", "CALL untraced: ENOSYS\nuntraced: exited 5", 0}, // no tracer's: as without one
		{"strict", "strict: EINVAL\nCALL after it: 0", 1},
		{"trace-own 77", "filter: 0\ncall: ENOSYS", 0}, // not our tag: as without a tracer
		{"trace-other 1", "filter: 0\ngetppid: -1 ENOSYS\nCALL beside it: 0", 1},
		{"trace-other 2", "filter: 0\ngetppid: -1 ENOSYS\nCALL beside it: 0", 1},
		// The tag of the other ABI: never read as that ABI's.
		{"int80 1", "filter: 0\nCALL by int $0x80: -38\nCALL by int $0x80, bad descriptor: -38", 0},
		// Our own tag cannot be told from ours; the call is read as what it is.
		{"int80 2", "filter: 0\nCALL by int $0x80: 0\nCALL by int $0x80, bad descriptor: -9", 2},
	} {
		for _, width := range widths {
			bin := buildTree(t, width, "-static")
			said, calls := traced(t, shim, "", append([]string{bin}, strings.Fields(c.scene)...)...)
			if !strings.HasPrefix(said, c.want+"\n") || calls < c.calls {
				t.Errorf("%s %s: %d calls in the trace\n%swant %d:\n%s", width, c.scene, calls, said, c.calls, c.want)
			}
		}
	}
}

// TestNoListenerByOtherNumbers: 64-bit code asks by int $0x80 and with x32's mark, and
// puts its filter up without a listener: its own call is ENOSYS then, and nobody's else.
func TestNoListenerByOtherNumbers(t *testing.T) {
	shim, bin := buildShim(t), buildTree(t, "m64", "-static")
	said, calls := traced(t, shim, "", bin, "listener-numbers")
	withoutX32 := strings.Replace(said, "as x32: EBUSY", "as x32: ENOSYS", 1)
	if want := "by int $0x80: EBUSY\nas x32: ENOSYS\nby prctl: 0\ncall: ENOSYS\n"; !strings.HasPrefix(withoutX32, want) || calls != 0 {
		t.Errorf("%d calls in the trace\n%swant 0:\n%s", calls, said, want)
	}
}

// Without PTRACE_GET_SYSCALL_INFO the tag and the instruction have to agree.
func TestNoBypassTagged(t *testing.T) {
	shim := filepath.Join(mustBuildDir(t), "pidfd-shim-shimtest")
	build := exec.Command("go", "build", "-tags", "shimtest", "-o", shim, "./cmd/pidfd-shim")
	build.Dir = ".."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, width := range widths {
		bin := buildTree(t, width, "-static")
		for _, scene := range []string{"fork", "threads", "int80", "int80 1", "allow", "trace-other 1", "trace-own 77", "regs", "queue"} {
			compareScene(t, shim, "nosyscallinfo", append([]string{bin}, strings.Fields(scene)...))
		}
	}
}

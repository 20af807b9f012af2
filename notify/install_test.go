package notify

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/shim"
)

// The filtered thread is a user of the filter: were it alive, there would be no
// hang-up, and were it back with the scheduler, our own calls would be notified.
func TestFilteredThreadEnds(t *testing.T) {
	inChild(t, func(t *testing.T) {
		c := launchCommand(t, true, "/bin/true")
		if status := c.reap(); !status.Exited() || status.ExitStatus() != 0 {
			t.Errorf("/bin/true ended with %#x", status)
		}
		if err := within(t, "hang-up", c.WaitHangUp); err != nil {
			t.Error(err)
		}
		// A thread releases its filter early in its exit and leaves /proc at its end.
		end := time.Now().Add(deadline)
		for len(filteredThreads(t)) > 0 {
			if time.Now().After(end) {
				t.Fatalf("threads %v of ours are under a filter", filteredThreads(t))
			}
			runtime.Gosched()
		}
	})
}

func filteredThreads(t *testing.T) (filtered []string) {
	t.Helper()
	paths, err := filepath.Glob("/proc/self/task/*/status")
	if err != nil || len(paths) == 0 {
		t.Fatalf("threads: %v, error %v", paths, err)
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(text), "\nSeccomp:\t2\n") {
			filtered = append(filtered, path)
		}
	}
	return filtered
}

// While it lives a command is filtered, and the process that supervises it is not.
func TestOnlyTheCommandIsFiltered(t *testing.T) {
	inChild(t, func(t *testing.T) {
		c := launch(t, true, "-m64", "syscall", "calls", "1")
		call := c.mustNext()
		if got := statusField(t, fmt.Sprintf("/proc/%d/status", c.pid), "Seccomp"); got != "2" {
			t.Errorf("the command has Seccomp: %s, want 2", got)
		}
		if c.HungUp() {
			t.Error("hung up while the command lives")
		}
		runtime.LockOSThread()
		if err := unix.PidfdSendSignal(-1, 0, nil, 0); !errors.Is(err, unix.EBADF) {
			t.Errorf("our own call: %v, want EBADF", err)
		}
		c.answer(call, shim.Return(0))
	})
}

func TestSecondListenerIsBusy(t *testing.T) {
	inChild(t, func(t *testing.T) {
		needListener(t, false)
		program := everyCall(t)
		l, _, err := Launch(program, false, func() (int, func(), error) {
			_, err := install(program, false) // on the thread that has a listener
			return 0, nil, err
		})
		if !errors.Is(err, unix.EBUSY) || !strings.Contains(err.Error(), "already under a seccomp listener") {
			t.Errorf("error %v, want EBUSY with the reason", err)
		}
		if l != nil {
			t.Error("a listener was returned beside an error")
		}
	})
}

// A command that cannot be started leaves nothing behind.
func TestFailedStartClosesTheListener(t *testing.T) {
	inChild(t, func(t *testing.T) {
		needListener(t, false)
		before := descriptors(t)
		l, _, err := Launch(everyCall(t), false, func() (int, func(), error) {
			pid, err := syscall.ForkExec("/nonexistent", []string{"nonexistent"}, nil)
			return pid, nil, err
		})
		if !errors.Is(err, unix.ENOENT) || l != nil {
			t.Errorf("listener %v, error %v, want ENOENT alone", l, err)
		}
		if after := descriptors(t); after != before {
			t.Errorf("%d descriptors before, %d after", before, after)
		}
	})
}

func TestListenerIsNotInherited(t *testing.T) {
	inChild(t, func(t *testing.T) {
		c := launchCommand(t, true, "/bin/ls", "-l", "/proc/self/fd")
		lines := 0
		for line := c.line(); line != ""; line = c.line() {
			lines++
			if strings.Contains(line, "seccomp") {
				t.Errorf("the command has %s", line)
			}
		}
		if lines < 4 {
			t.Errorf("ls printed %d lines", lines)
		}
	})
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// no_new_privs would take set-uid programs away from the command: only a supervisor
// without CAP_SYS_ADMIN sets it, and never on itself.
func TestNoNewPrivsOnlyWithoutPrivilege(t *testing.T) {
	for _, row := range []struct {
		uid  int
		want string
	}{{0, "0"}, {65534, "1"}} {
		t.Run(fmt.Sprint(row.uid), func(t *testing.T) {
			inChild(t, func(t *testing.T) {
				if os.Getuid() != 0 {
					t.Skip("not root")
				}
				if statusField(t, "/proc/self/status", "NoNewPrivs") != "0" {
					t.Skip("this process has no_new_privs already")
				}
				if err := syscall.Setresuid(row.uid, row.uid, row.uid); err != nil {
					t.Fatal(err)
				}
				c := launchCommand(t, true, "/bin/grep", "NoNewPrivs", "/proc/self/status")
				c.expectLine("NoNewPrivs:\t" + row.want)
				if got := statusField(t, "/proc/self/status", "NoNewPrivs"); got != "0" {
					t.Errorf("the supervisor has NoNewPrivs: %s", got)
				}
			})
		})
	}
}

// Death of the supervisor fails closed: a call that it had received, the call that
// follows, everything is ENOSYS, and nobody hangs.
func TestCallersOfADeadSupervisor(t *testing.T) {
	if isParent {
		out, err := childCommand(t)
		if !strings.HasSuffix(out, "-38\n-38\n-38\n") || err == nil || !strings.Contains(err.Error(), "killed") {
			t.Errorf("callers saw %q after %v, want ENOSYS three times", out, err)
		}
		return
	}
	needListener(t, true)
	l, _, err := Launch(everyCall(t), true, func() (int, func(), error) {
		argv := []string{filepath.Join(*callers, "caller-m64"), "syscall", "calls", "3"}
		pid, err := syscall.ForkExec(argv[0], argv, &syscall.ProcAttr{Files: []uintptr{0, 1, 2}})
		return pid, nil, err
	})
	if err != nil {
		t.Fatal(err)
	}
	within(t, "Next", func() error { return l.Next(&shim.Call{}) })
	_ = unix.Kill(unix.Getpid(), unix.SIGKILL)
}

// Closing the listener ends interception as death does.
func TestCloseAnswersENOSYS(t *testing.T) {
	inChild(t, func(t *testing.T) {
		c := launch(t, true, "-m64", "syscall", "calls", "2")
		c.mustNext()
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		c.expectLine("-38")
		c.expectLine("-38")
	})
}

// What the kernel refuses is an error that says so, and start is not run.
func TestRefusedProgram(t *testing.T) {
	inChild(t, func(t *testing.T) {
		needListener(t, false)
		bad := []unix.SockFilter{{Code: 0xffff}}
		if l, _, err := Launch(bad, false, nil); !errors.Is(err, unix.EINVAL) || l != nil || !strings.HasPrefix(err.Error(), "install filter: ") {
			t.Errorf("listener %v, error %v, want EINVAL from installing", l, err)
		}
	})
}

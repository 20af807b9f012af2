package notify

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/kernel"
	"github.com/pidfd-shim/pidfd-shim/shim"
	"github.com/pidfd-shim/pidfd-shim/tests/skip"
)

// entries are the ways into the kernel, by width, with what the filter's data then
// says. Registers are only poisoned where they have upper halves.
var entries = []struct {
	width, entry string
	arch, nr     uint32
	args         [4]uint64
}{
	{"-m64", "syscall", x86_64, 424, [4]uint64{poison | 0xffffffff, poison, 0, poison}},
	{"-m64", "x32", x86_64, 0x400001a8, [4]uint64{poison | 0xffffffff, poison, 0, poison}},
	{"-m64", "int80", x86_32, 424, [4]uint64{poison | 0xffffffff, poison, poison, poison}},
	{"-m32", "int80", x86_32, 424, [4]uint64{0xffffffff}},
	{"-m32", "sysenter", x86_32, 424, [4]uint64{0xffffffff}},
}

// caller is a command under the filter.
type caller struct {
	*Listener
	t   *testing.T
	pid int
	in  *os.File
	out *bufio.Scanner
}

// everyCall notifies of all calls of 424.
func everyCall(t *testing.T) []unix.SockFilter {
	t.Helper()
	program, err := Compile(Filter{Syscalls: ours, Default: unix.SECCOMP_RET_USER_NOTIF})
	if err != nil {
		t.Fatal(err)
	}
	return program
}

// needListener skips the test on a kernel without user notification.
func needListener(t *testing.T, killable bool) {
	t.Helper()
	skip.If(t, kernel.Listener())
	if killable {
		skip.If(t, kernel.WaitKillableRecv())
	}
}

// launch starts testdata/caller.c under the filter.
func launch(t *testing.T, killable bool, width string, args ...string) *caller {
	t.Helper()
	program := filepath.Join(*callers, "caller"+width)
	if _, err := os.Stat(program); err != nil {
		skip.If(t, err)
	}
	return launchCommand(t, killable, append([]string{program}, args...)...)
}

// native is what the call returns where nobody supervises it: EBADF, or ENOSYS where
// the kernel lacks the entry.
func native(t *testing.T, width, entry string) string {
	t.Helper()
	out, err := exec.Command(filepath.Join(*callers, "caller"+width), entry, "calls", "1").Output()
	skip.If(t, err)
	return strings.TrimSpace(string(out))
}

func launchCommand(t *testing.T, killable bool, argv ...string) *caller {
	t.Helper()
	needListener(t, killable)
	inRead, inWrite := pipe(t)
	outRead, outWrite := pipe(t)
	files := []uintptr{inRead.Fd(), outWrite.Fd(), 2}
	l, pid, err := Launch(everyCall(t), killable, func() (int, func(), error) {
		pid, err := syscall.ForkExec(argv[0], argv, &syscall.ProcAttr{Files: files})
		return pid, nil, err
	})
	if err != nil {
		t.Fatal(err)
	}
	inRead.Close()
	outWrite.Close()
	return &caller{l, t, pid, inWrite, bufio.NewScanner(outRead)}
}

func pipe(t *testing.T) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	return r, w
}

// next waits for a call with a deadline.
func (c *caller) next() (*shim.Call, error) {
	c.t.Helper()
	call := &shim.Call{}
	err := within(c.t, "Next", func() error { return c.Next(call) })
	return call, err
}

func (c *caller) mustNext() *shim.Call {
	c.t.Helper()
	call, err := c.next()
	if err != nil {
		c.t.Fatalf("Next: %v", err)
	}
	return call
}

// waitPending waits until a call is there to be received, without receiving it.
func (c *caller) waitPending() {
	c.t.Helper()
	err := within(c.t, "a call", func() error {
		fds := []unix.PollFd{{Fd: int32(c.fd), Events: unix.POLLIN}}
		for {
			if _, err := unix.Poll(fds, -1); !errors.Is(err, unix.EINTR) {
				return err
			}
		}
	})
	if err != nil {
		c.t.Fatal(err)
	}
}

// waitUninterruptible waits until the thread sleeps where no handler can wake it: the
// first signal after RECV sends it there (kernel/seccomp.c, should_sleep_killable). No
// event tells of it.
func (c *caller) waitUninterruptible(tid int) {
	c.t.Helper()
	path := fmt.Sprintf("/proc/%d/status", tid)
	for end := time.Now().Add(deadline); !strings.HasPrefix(statusField(c.t, path, "State"), "D"); runtime.Gosched() {
		if time.Now().After(end) {
			c.t.Fatalf("the caller is in state %s, not D", statusField(c.t, path, "State"))
		}
	}
}

// line is the next that the caller prints, "" at the end.
func (c *caller) line() string {
	c.t.Helper()
	return within(c.t, "the caller's output", func() string {
		c.out.Scan()
		return c.out.Text()
	})
}

func (c *caller) expectLine(want string) {
	c.t.Helper()
	if got := c.line(); got != want {
		c.t.Errorf("the caller printed %q, want %q", got, want)
	}
}

// tid reads the line in which the caller says who is going to call.
func (c *caller) tid() int {
	c.t.Helper()
	var tid int
	line := c.line()
	if _, err := fmt.Sscanf(line, "tid %d", &tid); err != nil {
		c.t.Fatalf("the caller printed %q: %v", line, err)
	}
	return tid
}

// kill ends the command and reaps it.
func (c *caller) kill() {
	c.t.Helper()
	if err := unix.Kill(c.pid, unix.SIGKILL); err != nil {
		c.t.Fatal(err)
	}
	c.reap()
}

func (c *caller) reap() unix.WaitStatus {
	c.t.Helper()
	return within(c.t, "the command's end", func() (status unix.WaitStatus) {
		for {
			if _, err := unix.Wait4(c.pid, &status, 0, nil); !errors.Is(err, unix.EINTR) {
				return status
			}
		}
	})
}

func (c *caller) answer(call *shim.Call, v shim.Verdict) {
	c.t.Helper()
	if err := c.Answer(call, v); err != nil {
		c.t.Errorf("Answer %v: %v", v, err)
	}
}

// statusField reads a line of /proc/.../status.
func statusField(t *testing.T, path, key string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if value, found := strings.CutPrefix(line, key+":"); found {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

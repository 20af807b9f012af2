package family

import (
	"errors"
	"os"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/proc"
)

// newTable has nobody traced but those in traced.
func newTable(t *testing.T, traced ...int) *Table {
	t.Helper()
	fs, err := proc.Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = fs.Close() })
	table, err := New(fs, proc.NSID{}, func(tid int32) bool {
		for _, pid := range traced {
			if int32(pid) == tid {
				return true
			}
		}
		return false
	})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// sleeper is a child that lives until it is told otherwise.
func sleeper(t *testing.T) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return cmd
}

// hold makes a descriptor in this process, as a caller's program would.
func hold(t *testing.T, table *Table, pid int) (fd int) {
	t.Helper()
	target, err := table.Watch(int32(pid), false)
	if err != nil {
		t.Fatal(err)
	}
	var pair [2]int
	if err := unix.Pipe2(pair[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	_, err = table.attach(int32(os.Getpid()), int32(pair[1]), target)
	_ = unix.Close(pair[1])
	if err != nil {
		t.Fatal(err)
	}
	return pair[0]
}

// within waits until something holds, as nobody tells of it.
func within(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); {
		if time.Now().After(deadline) {
			t.Fatalf("%s: never", what)
		}
		time.Sleep(time.Millisecond) //nolint:forbidigo // looked at, as the table does
	}
}

func polled(t *testing.T, fd, timeout int) int16 {
	t.Helper()
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN | unix.POLLOUT}}
	for {
		_, err := unix.Poll(fds, timeout)
		if !errors.Is(err, unix.EINTR) {
			return fds[0].Revents
		}
	}
}

// TestLookedAt: a target that nobody traces is ready when it can be waited for, and hung up
// when it was.
func TestLookedAt(t *testing.T) {
	table, child := newTable(t), sleeper(t)
	fd := hold(t, table, child.Process.Pid)
	defer unix.Close(fd)
	if got := polled(t, fd, 0); got != 0 {
		t.Errorf("alive: poll says %#x", got)
	}
	m, ours, err := table.Find(int32(os.Getpid()), int32(fd))
	if !ours || err != nil || m.Pid != int32(child.Process.Pid) || m.Ended || m.Dir < 0 {
		t.Fatalf("alive: %+v, %v, %v", m, ours, err)
	}
	_ = unix.Close(m.Dir)
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if got := polled(t, fd, 20000); got != unix.POLLIN {
		t.Errorf("ended: poll says %#x", got)
	}
	var info unix.Siginfo
	if err := unix.Waitid(unix.P_PID, child.Process.Pid, &info, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil); err != nil || info.Signo == 0 {
		t.Errorf("ready, and nobody to wait for: %v", err)
	}
	_ = child.Wait()
	within(t, "hung up", func() bool { return polled(t, fd, 0) == unix.POLLIN|unix.POLLHUP })
	if m, ours, _ := table.Find(int32(os.Getpid()), int32(fd)); !ours || !m.Reaped || m.Dir >= 0 {
		t.Errorf("reaped: %+v, %v", m, ours)
	}
	if _, err := table.Watch(int32(child.Process.Pid), false); !errors.Is(err, unix.ESRCH) {
		t.Errorf("watch who was reaped: %v", err)
	}
}

// TestToldOf: of a tracee the tracer tells, and nobody is early.
func TestToldOf(t *testing.T) {
	child := sleeper(t)
	table := newTable(t, child.Process.Pid)
	first, second := hold(t, table, child.Process.Pid), hold(t, table, child.Process.Pid)
	defer unix.Close(first)
	defer unix.Close(second)
	_ = child.Process.Kill()
	var info unix.Siginfo
	if err := unix.Waitid(unix.P_PID, child.Process.Pid, &info, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Fatal(err)
	}
	if polled(t, first, 0) != 0 {
		t.Error("ready before the tracer has said so")
	}
	table.Ended(int32(child.Process.Pid))
	for _, fd := range []int{first, second} {
		if got := polled(t, fd, 0); got&unix.POLLIN == 0 {
			t.Errorf("told of: poll says %#x", got)
		}
	}
}

// TestNothingIsKept: descriptors that nobody holds any more leave nothing behind.
func TestNothingIsKept(t *testing.T) {
	table, child := newTable(t), sleeper(t)
	for range 200 {
		fd := hold(t, table, child.Process.Pid)
		other, err := unix.Dup(fd)
		if err != nil {
			t.Fatal(err)
		}
		_ = unix.Close(fd)
		if _, ours, err := table.Find(int32(os.Getpid()), int32(other)); !ours || err != nil {
			t.Fatalf("a copy: %v, %v", ours, err)
		}
		_ = unix.Close(other)
	}
	within(t, "empty", func() bool {
		table.mu.Lock()
		defer table.mu.Unlock()
		return len(table.ends) == 0 && len(table.targets) == 0
	})
}

// TestOthersPipes: a pipe of somebody else's, or what is none, is no descriptor.
func TestOthersPipes(t *testing.T) {
	table := newTable(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	for _, fd := range []uintptr{r.Fd(), w.Fd(), null.Fd(), 9999} {
		if m, ours, err := table.Find(int32(os.Getpid()), int32(fd)); ours {
			t.Errorf("%d: %+v, %v", fd, m, err)
		}
	}
	if !table.Empty() {
		t.Error("somebody is kept")
	}
}

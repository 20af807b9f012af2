package tracee

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/sys"
	"github.com/pidfd-shim/pidfd-shim/tests/skip"
)

// The main goroutine has the main thread: it is the one that reaps.
func init() { runtime.LockOSThread() }

func TestMain(m *testing.M) {
	go func() { os.Exit(m.Run()) }()
	for f := range onMain {
		f()
	}
}

var onMain = make(chan func())

// onMainThread runs f on the main thread.
func onMainThread(f func()) {
	done := make(chan struct{})
	onMain <- func() { f(); close(done) }
	<-done
}

// child is started by the main thread, and so its child.
func child(t *testing.T) (pid int32) {
	t.Helper()
	onMainThread(func() {
		process, err := os.StartProcess("/bin/sleep", []string{"sleep", "1000"}, &os.ProcAttr{})
		if err != nil {
			return
		}
		pid = int32(process.Pid)
		_ = process.Release()
	})
	if pid == 0 {
		t.Fatal("no child could be started")
	}
	return pid
}

// set is one of a thread of the test's own.
func set(t *testing.T, held *Held) *Set {
	t.Helper()
	runtime.LockOSThread() // and never unlocked: the thread ends with the test
	if unix.Gettid() == unix.Getpid() {
		t.Fatal("the test runs on the main thread")
	}
	return &Set{Held: held}
}

func seized(t *testing.T, s *Set, pid int32) {
	t.Helper()
	if errno := s.Seize(pid, 0); errno != 0 {
		t.Fatalf("seize: %v", errno)
	}
}

// reaper waits on the main thread as a supervisor does, and tells what it has reaped.
func reaper(held *Held) <-chan unix.WaitStatus {
	statuses := make(chan unix.WaitStatus, 8)
	go onMainThread(func() {
		defer close(statuses)
		for {
			pid := nextEvent()
			if pid == 0 {
				return
			}
			held.Reap(pid, func() {
				var status unix.WaitStatus
				got, err := unix.Wait4(pid, &status, unix.WNOHANG|unix.WUNTRACED|unix.WCONTINUED|unix.WNOTHREAD, nil)
				if err == nil && got == pid {
					statuses <- status
				}
			})
		}
	})
	return statuses
}

// awaitReaper waits until the main thread sleeps in its wait.
func awaitReaper(t *testing.T) {
	t.Helper()
	path := fmt.Sprintf("/proc/self/task/%d/syscall", os.Getpid())
	waiting := fmt.Sprintf("%d ", unix.SYS_WAITID)
	for end := time.Now().Add(deadline); ; runtime.Gosched() {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(string(text), waiting) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the main thread does not wait: %s", text)
		}
	}
}

// nextEvent blocks: only the main thread's own children count.
func nextEvent() (pid int) {
	for {
		child, errno := sys.Waitid(unix.P_ALL, 0, unix.WEXITED|unix.WSTOPPED|unix.WCONTINUED|unix.WNOWAIT|unix.WNOTHREAD)
		switch errno {
		case 0:
			return int(child.Tid)
		case unix.EINTR:
		default:
			return 0
		}
	}
}

func next(t *testing.T, statuses <-chan unix.WaitStatus) (status unix.WaitStatus, ok bool) {
	t.Helper()
	select {
	case status, ok = <-statuses:
		return status, ok
	case <-time.After(deadline):
		t.Fatal("the reaper saw nothing")
		return 0, false
	}
}

const deadline = 20 * time.Second

func behind() bool { return true }

// TestTheKeptChildIsReapedByItsParent: a child of ours dies while a thread of ours traces
// it. Its status is the reaper's, which waits in the kernel and is not woken by it.
func TestTheKeptChildIsReapedByItsParent(t *testing.T) {
	var held Held
	s, pid := set(t, &held), child(t)
	held.Keep(pid, 0)
	seized(t, s, pid)
	statuses := reaper(&held)
	awaitReaper(t)
	_ = unix.Kill(int(pid), unix.SIGKILL)
	if _, alive := s.Wait(pid); alive {
		t.Error("stopped instead of dead")
	}
	if status, ok := next(t, statuses); !ok || !status.Signaled() || status.Signal() != unix.SIGKILL {
		t.Errorf("the reaper got %#x, %t", uint32(status), ok)
	}
	if _, ok := next(t, statuses); ok {
		t.Error("a second event")
	}
}

// TestAnotherChildEndsWithItsTracer: whose status nobody wants is reaped by the tracer, and
// the reaper learns that it has no children left.
func TestAnotherChildEndsWithItsTracer(t *testing.T) {
	var held Held
	s, pid := set(t, &held), child(t)
	seized(t, s, pid)
	statuses := reaper(&held)
	awaitReaper(t)
	_ = unix.Kill(int(pid), unix.SIGKILL)
	s.Wait(pid)
	if status, ok := next(t, statuses); ok {
		t.Errorf("the reaper got %#x", uint32(status))
	}
}

// TestStopsOfATracedChildReachItsParent: the stop is its tracer's while there is one, and
// the parent is not woken for it. A stop that lasts is the parent's afterwards.
func TestStopsOfATracedChildReachItsParent(t *testing.T) {
	var held Held
	s, pid := set(t, &held), child(t)
	held.Keep(pid, 0)
	seized(t, s, pid)
	statuses := reaper(&held)
	awaitReaper(t)
	_ = unix.Kill(int(pid), unix.SIGSTOP)
	status, alive := s.Wait(pid)
	if !alive || signalOf(status) != unix.SIGSTOP {
		t.Fatalf("stopped with %#x, alive %t", uint32(status), alive)
	}
	select {
	case status := <-statuses:
		t.Errorf("the reaper got %#x of a tracee", uint32(status))
	default:
	}
	_ = unix.PtraceCont(int(pid), int(unix.SIGSTOP)) // and so it stops as a group
	if status, alive = s.Wait(pid); !alive || signalOf(status) != 0 {
		t.Fatalf("stopped with %#x, alive %t", uint32(status), alive)
	}
	s.Detach(pid, 0)
	for _, step := range []struct {
		send unix.Signal
		want func(unix.WaitStatus) bool
	}{
		{0, unix.WaitStatus.Stopped},
		{unix.SIGCONT, unix.WaitStatus.Continued},
		{unix.SIGKILL, unix.WaitStatus.Signaled},
	} {
		_ = unix.Kill(int(pid), step.send)
		if status, ok := next(t, statuses); !ok || !step.want(status) {
			t.Errorf("after signal %d the reaper got %#x, %t", step.send, uint32(status), ok)
		}
	}
	next(t, statuses)
}

// TestReapWaitsForTheTracer: the number of a pinned child is not given away, also if the
// reaper has seen its end.
func TestReapWaitsForTheTracer(t *testing.T) {
	var held Held
	s, pid := set(t, &held), child(t)
	seized(t, s, pid)
	_ = unix.Kill(int(pid), unix.SIGKILL)
	if _, what := wait(unix.P_PID, pid, 0); what != ended {
		t.Fatalf("state %d instead of dead", what)
	}
	entered := make(chan struct{})
	taken := make(chan bool, 1)
	go func() {
		close(entered)
		held.Reap(int(pid), func() {
			n, _ := unix.Wait4(int(pid), nil, unix.WNOHANG, nil)
			taken <- n == int(pid)
		})
	}()
	<-entered
	for range 1000 {
		runtime.Gosched()
	}
	select {
	case <-taken:
		t.Error("reaped while pinned")
	default:
	}
	if errno := unix.Kill(int(pid), 0); errno != nil {
		t.Errorf("the number is free: %v", errno)
	}
	_ = s.Release(pid)
	s.LetGo(behind)
	select {
	case <-taken:
	case <-time.After(deadline):
		t.Error("the reaper still waits")
	}
}

// vforker is a program that waits in vfork until its stdin ends: there it does not stop.
func vforker(t *testing.T) string {
	t.Helper()
	const source = `
#include <unistd.h>
int main(void)
{
	char byte;
	if (vfork() == 0) {
		write(1, "!", 1);
		read(0, &byte, 1);
		_exit(0);
	}
	return 0;
}`
	program := filepath.Join(t.TempDir(), "vforker")
	build := exec.Command("gcc", "-w", "-o", program, "-x", "c", "-")
	build.Stdin = strings.NewReader(source)
	if out, err := build.CombinedOutput(); err != nil {
		skip.If(t, fmt.Errorf("%w: %s", err, out))
	}
	return program
}

// inVfork starts one that does not stop until release is called.
func inVfork(t *testing.T) (cmd *exec.Cmd, release func()) {
	t.Helper()
	cmd = exec.Command(vforker(t))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := out.Read(make([]byte, 16)); err != nil {
		t.Fatal(err)
	}
	return cmd, func() { in.Close() }
}

// TestOneThatDoesNotStop: LetGo asks for another worker, and lets go when the task stops.
func TestOneThatDoesNotStop(t *testing.T) {
	var held Held
	s := set(t, &held)
	cmd, release := inVfork(t)
	pid := int32(cmd.Process.Pid)
	seized(t, s, pid)
	_ = s.Release(pid)
	asked := false
	s.LetGo(func() bool {
		asked = true
		release() // its child goes on, and so does it
		return true
	})
	if !asked {
		t.Error("it was let go while it could not stop")
	}
	if len(s.leaving) != 0 || len(held.by) != 0 {
		t.Errorf("left: %v, held: %v", s.leaving, held.by)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// TestKilledInItsStop: one that is killed between its stop and our letting it go, and
// stops once more as it ends, reaches its parent all the same.
func TestKilledInItsStop(t *testing.T) {
	var held Held
	for range 50 {
		s, pid := set(t, &held), child(t)
		held.Keep(pid, 0)
		if errno := s.Seize(pid, unix.PTRACE_O_TRACEEXIT); errno != 0 {
			t.Fatalf("seize: %v", errno)
		}
		if errno := s.Interrupt(pid); errno != 0 {
			t.Fatalf("interrupt: %v", errno)
		}
		if _, alive := s.Wait(pid); !alive {
			t.Fatal("dead instead of stopped")
		}
		_ = unix.Kill(int(pid), unix.SIGKILL)
		s.Detach(pid, 0)
		statuses := reaper(&held)
		if status, ok := next(t, statuses); !ok || !status.Signaled() || status.Signal() != unix.SIGKILL {
			t.Fatalf("the reaper got %#x, %t", uint32(status), ok)
		}
		next(t, statuses)
	}
}

package front

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// gate is a FIFO on which a process under test waits until it is opened.
type gate struct {
	t    *testing.T
	path string
}

func newGate(t *testing.T) gate {
	t.Helper()
	path := filepath.Join(t.TempDir(), "gate")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return gate{t, path}
}

// open lets the reader go on. It waits for a reader to be there.
func (g gate) open() {
	g.t.Helper()
	file, err := os.OpenFile(g.path, os.O_WRONLY, 0)
	if err != nil {
		g.t.Fatal(err)
	}
	file.Close()
}

// TestSupervisorKilled: COMMAND becomes the front's child, which goes on passing
// signals, and mirrors its end.
func TestSupervisorKilled(t *testing.T) {
	s, _, supervisor := startSignals(t)
	if err := unix.Kill(supervisor, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	waitGone(t, supervisor)
	s.signalFront(unix.SIGTERM)
	if line, want := s.line(), fmt.Sprintf("15 -1 %d 0", os.Getpid()); line != want {
		t.Errorf("COMMAND got %q, want %q", line, want)
	}
	s.signalFront(62)
	want := "pidfd-shim: supervise: the supervisor died (killed)\n"
	if got := s.status(); got != 9 || s.err.String() != want {
		t.Errorf("status %d stderr %q, want 9 %q", got, s.err.String(), want)
	}
}

// TestFrontKilled: SIGKILL of the front is SIGKILL of COMMAND, and of it alone.
func TestFrontKilled(t *testing.T) {
	g := newGate(t)
	s := start(t, "run", "sh", "-c", `sh -c 'read x <"$0"' "$1" & echo $! $$; read y`, "sh", g.path)
	var child, command int
	if _, err := fmt.Sscan(s.line(), &child, &command); err != nil {
		t.Fatal(err)
	}
	if err := s.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	waitGone(t, command)
	if err := unix.Kill(child, 0); err != nil {
		t.Errorf("COMMAND's child: %v, want alive", err)
	}
	g.open()
	waitGone(t, child)
	_ = s.Wait()
}

func pidLine(t *testing.T, s *running) (pid int) {
	t.Helper()
	line := s.line()
	if _, err := fmt.Sscan(line, &pid); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	return pid
}

// TestDaemonOutlivesCommand: the front ends with COMMAND and its pipes close,
// the supervisor stays until the daemon has ended.
func TestDaemonOutlivesCommand(t *testing.T) {
	for _, flag := range []string{"", "--wait=all"} {
		g := newGate(t)
		args := []string{"run"}
		if flag != "" {
			args = append(args, flag)
		}
		s := start(t, append(args, "sh", "-c",
			`setsid sh -c 'read x <"$0"' "$1" </dev/null >/dev/null 2>&1 & echo $! $PPID; exit 4`, "sh", g.path)...)
		var daemon, supervisor int
		if _, err := fmt.Sscan(s.line(), &daemon, &supervisor); err != nil {
			t.Fatal(err)
		}
		if rest, err := io.ReadAll(s.out); err != nil || len(rest) != 0 {
			t.Errorf("%q: the pipe gave %q, %v, want its end", flag, rest, err)
		}
		if flag == "" {
			if got := s.status(); got != 4 {
				t.Errorf("status %d, want 4", got)
			}
			if err := unix.Kill(supervisor, 0); err != nil {
				t.Errorf("the supervisor: %v, want alive", err)
			}
		}
		g.open()
		if flag != "" {
			if got := s.status(); got != 4 {
				t.Errorf("%s: status %d, want 4", flag, got)
			}
		}
		waitGone(t, daemon)
		waitGone(t, supervisor)
	}
}

// TestWaitAllCanBeEnded: after COMMAND's end there is nobody to pass a signal to.
func TestWaitAllCanBeEnded(t *testing.T) {
	g := newGate(t)
	s := start(t, "run", "--wait=all", "sh", "-c",
		`setsid sh -c 'read x <"$0"' "$1" </dev/null >/dev/null 2>&1 & echo $!`, "sh", g.path)
	daemon := pidLine(t, s)
	if _, err := io.ReadAll(s.out); err != nil {
		t.Fatal(err)
	}
	// Until the front knows of COMMAND's end, the signal is COMMAND's, and lost.
	for front := pidfdOf(t, s.Process.Pid); ; {
		s.signalFront(unix.SIGTERM)
		if readable(front, 10*time.Millisecond) {
			break
		}
	}
	if got := s.status(); got != 1000+int(unix.SIGTERM) {
		t.Errorf("status %d, want an end by SIGTERM", got)
	}
	g.open()
	waitGone(t, daemon)
}

// TestTakenDescriptor: the supervisor writes to it, COMMAND does not have it.
func TestTakenDescriptor(t *testing.T) {
	s := start(t, "launch", "dup=b", "--", testBinary(t), "run", "--take=11", "sh", "-c", "test -e /proc/self/fd/11; echo $?")
	out, err := io.ReadAll(s.out)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(out), "1\ntaken\n"; got != want {
		t.Errorf("output %q, want %q: no descriptor 11, and the supervisor's line", got, want)
	}
	s.status()
}

// TestNothingIsHeld: while COMMAND runs, front and supervisor hold none of what it
// inherited but stderr, and the supervisor cannot be looked into.
func TestNothingIsHeld(t *testing.T) {
	s, command, supervisor := startSignals(t)
	inherited := map[string]bool{}
	for _, fd := range []string{"0", "1"} {
		link, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", command, fd))
		if err != nil {
			t.Fatal(err)
		}
		inherited[link] = true
	}
	s.signalFront(unix.SIGUSR1) // its answer comes after both have let go
	s.line()
	for _, pid := range []int{s.Process.Pid, supervisor} {
		dir := fmt.Sprintf("/proc/%d/fd", pid)
		fds, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, fd := range fds {
			link, _ := os.Readlink(filepath.Join(dir, fd.Name()))
			if inherited[link] {
				t.Errorf("process %d holds %s: %s", pid, fd.Name(), link)
			}
		}
	}
	var stat unix.Stat_t
	if err := unix.Stat(fmt.Sprintf("/proc/%d/environ", supervisor), &stat); err != nil || stat.Uid != 0 {
		t.Errorf("the supervisor's environ: uid %d, %v", stat.Uid, err)
	}
	comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", supervisor))
	if strings.TrimSpace(string(comm)) != program || err != nil {
		t.Errorf("the supervisor is called %q, %v", comm, err)
	}
	s.finish()
}

// TestNothingIsLeft: when the front of a command without descendants has ended,
// supervisor and sentinel have too.
func TestNothingIsLeft(t *testing.T) {
	s, command, supervisor := startSignals(t)
	all := append(childrenOf(t, s.Process.Pid), command, supervisor)
	s.finish()
	for _, pid := range all {
		if err := unix.Kill(pid, 0); err != syscall.ESRCH {
			t.Errorf("process %d: %v, want no such process", pid, err)
		}
	}
}

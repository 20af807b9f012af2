package front

import (
	"fmt"
	"os"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// startSession starts a front that leads a session without a terminal.
func startSession(t *testing.T, args ...string) *running {
	t.Helper()
	return startAs(t, &syscall.SysProcAttr{Setsid: true}, args...)
}

// TestSessionLeaderTakesTerminal: opening one is enough.
func TestSessionLeaderTakesTerminal(t *testing.T) {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer master.Close()
	check(unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	check(err)
	s := startSession(t, "run", "sh", "-c", fmt.Sprintf(`exec 3<>/dev/pts/%d; : </dev/tty && echo taken`, number))
	if got := s.line(); got != "taken" {
		t.Errorf("%q, want taken", got)
	}
	if got := s.status(); got != 0 {
		t.Errorf("status %d, want 0", got)
	}
}

// TestSessionsGroup: what the front's group gets, COMMAND's children get, too.
func TestSessionsGroup(t *testing.T) {
	for _, row := range []struct {
		sig   unix.Signal
		group bool
	}{{unix.SIGTERM, true}, {unix.SIGKILL, true}, {unix.SIGTERM, false}, {unix.SIGKILL, false}} {
		t.Run(fmt.Sprint(row), func(t *testing.T) {
			s := startSession(t, "run", "sh", "-c", "sleep 1000 >/dev/null 2>&1 & echo $! $$; wait")
			var child, command int
			if _, err := fmt.Sscan(s.line(), &child, &command); err != nil {
				t.Fatal(err)
			}
			if sid, err := unix.Getsid(command); err != nil || sid != command {
				t.Errorf("COMMAND %d is in session %d (%v)", command, sid, err)
			}
			childFd := pidfdOf(t, child)
			defer func() { _ = unix.PidfdSendSignal(childFd, unix.SIGKILL, nil, 0) }()
			commandFd, target := pidfdOf(t, command), s.Process.Pid
			if row.group {
				target = -target
			}
			check(unix.Kill(target, row.sig))
			if got := s.status(); got != 1000+int(row.sig) {
				t.Errorf("status %d, want that of %v", got, row.sig)
			}
			if !readable(commandFd, limit) {
				t.Error("COMMAND lives on")
			}
			if row.group && !readable(childFd, limit) {
				t.Error("COMMAND's child lives on")
			}
			if !row.group && readable(childFd, 0) {
				t.Error("COMMAND's child has ended")
			}
		})
	}
}

package front

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// A process group is orphaned when no member has a parent in another group of the
// session: nobody to continue it. The kernel ignores the terminal's stops there, and
// when a group becomes so while a member is stopped, all get SIGHUP and SIGCONT
// (kernel/exit.c, will_become_orphaned_pgrp, kill_orphaned_pgrp). COMMAND's parent
// is the supervisor, in a group of its own: in the session it would be that somebody
// for the front's group, for good. But a COMMAND that makes a group of its own needs
// it there, as it natively has the shell.
//
// So the supervisor is in the session as long as the front's group has a keeper, and
// leaves it with that one's end.

// initNamespace is the pid namespace that the kernel starts with (PROC_PID_INIT_INO):
// its init counts as nobody.
const initNamespace = "pid:[4026531836]"

// keeper is the front's first ancestor outside of its group, if it is in the session.
func keeper() (entry, bool) {
	own, err := selfEntry.status()
	if err != nil {
		return "", false
	}
	front, err := own.parent.status()
	if err != nil {
		return "", false
	}
	for e := front.parent; e != "0"; {
		ancestor, err := e.status()
		if err != nil || ancestor.session != front.session {
			return "", false
		}
		if ancestor.group != front.group {
			namespace, err := os.Readlink("/proc/self/ns/pid")
			return e, e != "1" || err == nil && namespace != initNamespace
		}
		e = ancestor.parent
	}
	return "", false
}

// standApart takes the supervisor out of the front's group, and where nobody keeps that
// group, out of its session.
func (s *supervisor) standApart() error {
	if s.sentinel != nil { // it is so by now
		return nil
	}
	pidfd, found := holdKeeper()
	if !found {
		_, err := unix.Setsid()
		return os.NewSyscallError("setsid", err)
	}
	if err := unix.Setpgid(0, 0); err != nil {
		return os.NewSyscallError("setpgid", err)
	}
	go s.watchKeeper(pidfd)
	return nil
}

// holdKeeper holds the keeper by a pidfd, or -1 before Linux 5.3. One that has no
// number in our pid namespace cannot be watched, and is none.
func holdKeeper() (pidfd int, found bool) {
	for {
		e, found := keeper()
		if !found {
			return 0, false
		}
		pid := e.number()
		if pid == 0 {
			return 0, false
		}
		pidfd, err := unix.PidfdOpen(pid, 0)
		if isAny(err, unix.ENOSYS, unix.EPERM) {
			return -1, true
		}
		if again, found := keeper(); err == nil && found && again == e {
			return pidfd, true
		}
		if err == nil {
			_ = unix.Close(pidfd)
		}
	}
}

// keeperInterval is how often the keeper is looked at where it cannot be waited for.
const keeperInterval = time.Second

// watchKeeper waits until the front's group has no keeper, and leaves the session.
func (s *supervisor) watchKeeper(pidfd int) {
	for found := true; found; {
		if pidfd < 0 {
			time.Sleep(keeperInterval) //nolint:forbidigo // nothing tells of it
			_, found = keeper()
			continue
		}
		_, _ = unix.Poll([]unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}, -1)
		_ = unix.Close(pidfd)
		pidfd, found = holdKeeper()
	}
	s.leaveSession()
}

// leaveSession takes the supervisor out of the session, and does what the kernel would
// have done, had it not been there, when the keeper ended.
func (s *supervisor) leaveSession() {
	// The leader of a group cannot make a session, so that it is the front's again first.
	if unix.Setpgid(0, s.group) != nil {
		return // the front has ended
	}
	if _, err := unix.Setsid(); err != nil {
		return
	}
	if os.Getppid() != s.front || !isIn(s.front, stoppedStates) && !isIn(s.command.pid, stoppedStates) {
		return
	}
	for _, sig := range []unix.Signal{unix.SIGHUP, unix.SIGCONT} {
		_ = unix.Kill(-s.group, sig) //nolint:forbidigo // the front's, our parent, is in it
		s.command.killGroup(sig)
	}
}

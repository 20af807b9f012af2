package front

import (
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Where the front leads a session, COMMAND natively would: it can take a terminal
// (TIOCSCTTY), which nobody else can, and has no other session or group to make. So there
// COMMAND gets a session of its own, and the terminal with it, which cannot be in two: the
// front gives it up (docker -t, ssh -t). What its group natively gets as the front's is
// passed on to it: see place. SIGKILL cannot be: whether all got it or the front alone is
// seen by a process that the supervisor leaves in the front's group.

// noTerminal is orders.terminal where COMMAND is to take none.
const noTerminal = 3

// terminalToYield is which of descriptors 0 to 2 is the terminal of a session that the
// front leads, alone in it, and in the foreground: others would lose it, too.
func terminalToYield() int {
	if leader, err := unix.Getsid(0); err != nil || leader != os.Getpid() {
		return noTerminal
	}
	for fd := range noTerminal {
		session, err := unix.IoctlGetInt(fd, unix.TIOCGSID)
		if err != nil || session != os.Getpid() {
			continue
		}
		// TIOCSCTTY wants a descriptor that can be read (drivers/tty/tty_jobctrl.c, tiocsctty).
		mode, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
		group, groupErr := unix.IoctlGetInt(fd, unix.TIOCGPGRP)
		if err == nil && mode&unix.O_ACCMODE != unix.O_WRONLY && groupErr == nil && group == unix.Getpgrp() && aloneInSession() {
			return fd
		}
	}
	return noTerminal
}

// aloneInSession also looks at orphans, which are nobody's children that we know.
func aloneInSession() bool {
	own, err := selfEntry.status()
	entries, dirErr := os.ReadDir("/proc")
	if err != nil || dirErr != nil {
		return false
	}
	n := 0
	for _, e := range entries {
		if name := e.Name(); name[0] >= '1' && name[0] <= '9' {
			if other, err := entry(name).status(); err == nil && other.session == own.session {
				n++
			}
		}
	}
	return n == 1
}

// yieldTerminal gives it up, right before COMMAND takes it. The kernel then sends SIGHUP and
// SIGCONT to our group (drivers/tty/tty_jobctrl.c, disassociate_ctty), which are none that
// somebody has sent: the notes are known by their sender, and the sentinel is to forget its.
func (f *front) yieldTerminal() error {
	if f.terminal == noTerminal {
		return nil
	}
	tty, _ := ownTerminal() // what we were given is shed
	defer unix.Close(tty)
	if err := unix.IoctlSetInt(tty, unix.TIOCNOTTY, 0); err != nil {
		return fmt.Errorf("give COMMAND the terminal: %w", os.NewSyscallError("ioctl(TIOCNOTTY)", err))
	}
	f.sentinel.take(unix.SIGHUP)
	f.sentinel.take(unix.SIGCONT)
	return nil
}

// makeSession has COMMAND lead a session, where it natively does.
//
// Precondition: the calling thread is the main one, which lives as long as the process.
func (s *supervisor) makeSession() error {
	own, err := selfEntry.status()
	session, sidErr := unix.Getsid(0)
	if err != nil || sidErr != nil || session != s.front || own.terminal != "0" && s.terminal == noTerminal {
		return nil
	}
	defer setMask(setMask(everything))
	s.sentinel, err = newGroupSentinel()
	if err == nil {
		// Before COMMAND is there: who kills the front's group would leave it to nobody.
		if _, err = unix.Setsid(); err == nil {
			return nil
		}
		s.sentinel.stop()
		s.sentinel = nil
	}
	if s.terminal == noTerminal {
		return nil // COMMAND stays in the front's session
	}
	return fmt.Errorf("make a session for COMMAND: %w", err)
}

// inSession is attr for a COMMAND that leads a session, and takes descriptor terminal as its
// terminal.
func inSession(attr *syscall.SysProcAttr, terminal int) *syscall.SysProcAttr {
	var own syscall.SysProcAttr
	if attr != nil {
		own = *attr
	}
	own.Setsid = true
	if terminal != noTerminal {
		own.Setctty, own.Ctty = true, terminal
	}
	return &own
}

// wasKilled tells whether somebody has killed the process: one that has a SIGKILL answers
// nothing. Those of a group get it youngest first, so before the front.
func (w *groupSentinel) wasKilled() bool {
	if w == nil || w.pid == 0 {
		return false
	}
	_ = unix.Kill(w.pid, unix.SIGCONT) //nolint:forbidigo // our unreaped child
	var question, answer [8]byte
	if _, err := unix.Write(w.sock, question[:]); err != nil {
		return true
	}
	for start := time.Now(); time.Since(start) < time.Second; {
		if readable(w.sock, 5*time.Millisecond) {
			n, err := unix.Read(w.sock, answer[:])
			return err != nil || n == 0 // it has ended: nobody has the other end
		}
		if isIn(w.pid, "ZX") {
			return true
		}
	}
	return false
}

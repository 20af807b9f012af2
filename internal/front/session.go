package front

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Where the front leads a session, COMMAND natively would: it can take a terminal
// (TIOCSCTTY), which nobody else can, and has no other session to make. So there COMMAND
// gets a session of its own, if ours has no terminal, which cannot be in two. What its
// group natively gets as the front's is passed on to it: see place. SIGKILL cannot be:
// whether all got it or the front alone is seen by a process that the supervisor leaves in
// the front's group.

// makeSession has COMMAND lead a session, where it natively does.
//
// Precondition: the calling thread is the main one, which lives as long as the process.
func (s *supervisor) makeSession() {
	own, err := selfEntry.status()
	session, sidErr := unix.Getsid(0)
	if err != nil || sidErr != nil || session != s.front || own.terminal != "0" {
		return
	}
	defer setMask(setMask(everything))
	if s.sentinel, err = newWitness(); err != nil {
		return // without one COMMAND stays in the front's session
	}
	// Before COMMAND is there: who kills the front's group would leave it to nobody.
	if _, err := unix.Setsid(); err != nil {
		s.sentinel.stop()
		s.sentinel = nil
	}
}

// inSession is attr for a COMMAND that leads a session.
func inSession(attr *syscall.SysProcAttr) *syscall.SysProcAttr {
	var own syscall.SysProcAttr
	if attr != nil {
		own = *attr
	}
	own.Setsid = true
	return &own
}

// wasKilled tells whether somebody has killed the process: one that has a SIGKILL answers
// nothing. Those of a group get it youngest first, so before the front.
func (w *witness) wasKilled() bool {
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

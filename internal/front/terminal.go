package front

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Where the front leads its group COMMAND natively would, and a leader's setpgid(0, 0)
// does nothing. Under us COMMAND then leaves the shell's job for a group of its own
// (timeout, an interactive shell): what the job gets is for that group, the terminal
// too. Where the front does not lead, COMMAND natively leaves as well.

// place is where COMMAND is, seen from the front's group.
type place int

const (
	inGroup    place = iota // in the front's
	ownGroup                // it has made one, which stands for the front's
	ownSession              // it has made a session, for which natively it had to fork
	elsewhere
)

func (c *command) place() place {
	group, err := unix.Getpgid(c.pid)
	switch {
	case err != nil:
		return elsewhere
	case group == unix.Getpgrp():
		return inGroup
	case group != c.pid || unix.Getpgrp() != os.Getpid():
		return elsewhere
	}
	theirs, err := unix.Getsid(c.pid)
	ours, ownErr := unix.Getsid(0)
	if err == nil && ownErr == nil && theirs != ours && ours != os.Getpid() { // else see session.go
		return ownSession
	}
	return ownGroup
}

// passGroup does what is left to do about a signal that the whole of our group got.
func (f *front) passGroup(n *note) {
	switch f.command.place() {
	case ownGroup:
		f.lendTerminal()
		f.pass(n, true)
	case ownSession:
		f.takeOurselves(n.signal())
	}
}

// lendTerminal makes COMMAND's own group the foreground one where the shell made ours
// that, for COMMAND, and tells whether it did.
func (f *front) lendTerminal() bool {
	if f.command.place() != ownGroup {
		return false
	}
	tty, foreground := ownTerminal()
	defer unix.Close(tty)
	return foreground && unix.IoctlSetPointerInt(tty, unix.TIOCSPGRP, f.command.pid) == nil
}

// ownTerminal is ours (-1: we have none), and whether our group is its foreground one.
func ownTerminal() (tty int, foreground bool) {
	tty, err := unix.Open("/dev/tty", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, false
	}
	group, err := unix.IoctlGetInt(tty, unix.TIOCGPGRP)
	return tty, err == nil && group == unix.Getpgrp()
}

// lentFor tells whether COMMAND was stopped by sig for want of a terminal that it was
// lent now.
func (f *front) lentFor(sig unix.Signal) bool {
	if !setOf(unix.SIGTTIN, unix.SIGTTOU).has(sig) || !f.lendTerminal() {
		return false
	}
	f.resumeGroup()
	return true
}

// resumeGroup continues who was stopped for want of the terminal. The kernel makes their
// calls again.
func (f *front) resumeGroup() {
	var n note
	n.set(unix.SIGCONT)
	f.pass(&n, true)
}

// lookout is how the front notices that COMMAND has made a group: nothing tells of a
// setpgid, and those of the group that then stop for want of the terminal need not be
// COMMAND (timeout ignores SIGTTIN). There is none where no shell with a terminal has
// started us for itself.
type lookout struct {
	interval time.Duration // until the next look; 0: none
	left     bool          // COMMAND had made a group, and not taken the terminal for it
}

const (
	firstLook = time.Millisecond
	lastLook  = 250 * time.Millisecond
)

func newLookout() (l lookout) {
	tty, _ := ownTerminal()
	defer unix.Close(tty)
	if tty >= 0 && unix.Getpgrp() == os.Getpid() {
		l.interval = firstLook
	}
	return l
}

// timeout is poll's.
func (l *lookout) timeout() int {
	if l.interval == 0 {
		return -1
	}
	return int(l.interval.Milliseconds())
}

// look looks once. A shell makes a group and takes the terminal for it in one go: only
// one that has not done so by the second look is lent it.
func (f *front) look() {
	l := &f.lookout
	switch f.command.place() {
	case inGroup:
		l.interval = min(2*l.interval, lastLook)
	case ownGroup:
		if !l.left {
			l.left = true
			return
		}
		l.interval = 0
		if f.lendTerminal() {
			f.resumeGroup()
		}
	default:
		l.interval = 0
	}
}

// takeOurselves does with a signal of the group what it does to the process that natively
// waits there for who has made the session (setsid --wait): the front can end before
// COMMAND.
func (f *front) takeOurselves(sig unix.Signal) {
	if (f.birth.ignored | f.birth.mask).has(sig) ||
		setOf(unix.SIGCHLD, unix.SIGURG, unix.SIGWINCH, unix.SIGCONT).has(sig) {
		return
	}
	stops := setOf(unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU).has(sig)
	if !stops {
		f.pass(&note{}, false) // it is not killed, and COMMAND is to live
	}
	if dispose(sig, sigDfl) == nil {
		_ = unix.Tgkill(os.Getpid(), unix.Gettid(), sig)
		setMask(everything &^ setOf(sig)) // here the front stops, or ends
		setMask(everything)
	}
	_ = catch(sig)
}

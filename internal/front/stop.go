package front

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// stop stops the front as COMMAND was stopped by sig, unless COMMAND has been
// continued since. SIGSTOP never comes here: it cannot be held back, so that the
// supervisor sends it, in order with the SIGCONT that follows.
//
// The order makes it safe. sig is made pending, blocked; only then is it seen
// whether COMMAND is still stopped; then sig is let in. A SIGCONT takes pending
// stop signals away (kernel/signal.c, prepare_signal), and COMMAND's comes before
// ours: a shell's, because the group's youngest comes first, the supervisor's,
// because it follows. A shell that saw the front stop after its fg would take the
// terminal from a COMMAND that runs.
func (f *front) stop(sig unix.Signal) {
	if sig == unix.SIGSTOP { // COMMAND is our own child
		_ = unix.Kill(os.Getpid(), sig) //nolint:forbidigo // ourselves
		return
	}
	_ = unix.Tgkill(os.Getpid(), unix.Gettid(), sig)
	// Not before: the terminal's own sig may reach our other thread only now, and
	// stop us by default. The SIGCONT that ends this stop must find ours pending,
	// or we would stop again, after the shell's fg.
	if err := dispose(sig, sigDfl); err != nil {
		takePending(sig)
		return
	}
	if !comesToRest(f.command.pid, f.isOvertaken) {
		takePending(sig)
	} else {
		setMask(everything &^ setOf(sig)) // here the front stops
		setMask(blocked)
	}
	_ = catch(sig)
}

// comesToRest waits until a process that was said to be stopped is so. Threads of the
// supervisor trace COMMAND while it sends, or is sent to: that takes it out of the stop for as
// long as it then needs to get a processor, and nothing tells of the way back. False: overtaken
// says that what was said is old.
func comesToRest(pid int, overtaken func() bool) bool {
	e, err := entryOf(pid)
	if err != nil {
		return false
	}
	start, pause := time.Now(), 50*time.Microsecond
	for !overtaken() && time.Since(start) < restLimit {
		if e.isIn(stoppedStates) {
			return true
		}
		time.Sleep(pause) //nolint:forbidigo // no event tells of it
		pause = min(2*pause, 5*time.Millisecond)
	}
	return false
}

// restLimit is for one that a debugger has let out of its stop, for good.
const restLimit = 2 * time.Second

// isOvertaken tells whether the supervisor has said more of COMMAND by now, or has ended.
func (f *front) isOvertaken() bool {
	for readable(f.sock, 0) {
		var next [8]byte
		_, _, err := unix.Recvfrom(f.sock, next[:], unix.MSG_PEEK)
		if err != nil || parseMessage(next).kind != noticed {
			return true
		}
		if m, err := receive(f.sock); err == nil {
			f.handle(m)
		}
	}
	return false
}

// hasMoved tells whether COMMAND, a child of ours, has been continued or has ended since its
// last event was taken.
func (c *command) hasMoved() bool {
	var info note
	err := waitFor(unix.P_PID, c.pid, &info, unix.WEXITED|unix.WCONTINUED|unix.WNOHANG|unix.WNOWAIT)
	return err != nil || info.signal() == unix.SIGCHLD && info.code() != cldTrapped && info.code() != cldStopped
}

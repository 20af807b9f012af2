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
	if !comesToRest(f.command.pid) {
		takePending(sig)
	} else {
		setMask(everything &^ setOf(sig)) // here the front stops
		setMask(blocked)
	}
	_ = catch(sig)
}

// restTime is how long a task may take to get back into a stop that a tracer has let it
// out of: threads of the supervisor trace COMMAND while it sends, or is sent to.
const restTime = 20 * time.Millisecond

// comesToRest tells whether a process that was said to be stopped is so.
func comesToRest(pid int) bool {
	e, err := entryOf(pid)
	if err != nil {
		return false
	}
	for start := time.Now(); ; time.Sleep(50 * time.Microsecond) { //nolint:forbidigo // no event tells of it
		if e.isIn(stoppedStates) {
			return true
		}
		if time.Since(start) > restTime {
			return false
		}
	}
}

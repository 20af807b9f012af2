package front

import (
	"bytes"
	"os"
	"strconv"
	"strings"
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
		setMask(everything)
	}
	_ = catch(sig)
}

// orphanedGroup tells whether our process group has nobody to continue it: no
// ancestor in another group of this session. There the kernel ignores a stop from
// the terminal, and the supervisor, as a parent in another group of the session,
// would change that; so it leaves the session.
func orphanedGroup() bool {
	group, err := unix.Getpgid(0)
	if err != nil {
		return false
	}
	session, err := unix.Getsid(0)
	if err != nil {
		return false
	}
	for pid := os.Getppid(); pid > 1; {
		parentGroup, err := unix.Getpgid(pid)
		if err != nil {
			return true
		}
		if parentGroup != group {
			parentSession, err := unix.Getsid(pid)
			return err != nil || parentSession != session
		}
		if pid, err = parentOf(pid); err != nil {
			return true
		}
	}
	return true // nobody, or init, which the kernel does not count
}

// The states of a process in /proc/PID/stat that count here: stopped, and stopped
// or a tracee's stop, of which either may be meant.
const (
	stoppedState  = "T"
	stoppedStates = "Tt"
)

// isIn tells whether pid is in one of states. Where that cannot be read, it is not.
func isIn(pid int, states string) bool {
	fields, err := stat(pid)
	return err == nil && strings.Contains(states, fields[0])
}

// restTime is how long a task may take to get back into a stop that a tracer has let it
// out of: threads of the supervisor trace COMMAND while it sends, or is sent to.
const restTime = 20 * time.Millisecond

// comesToRest tells whether a process that was said to be stopped is so.
func comesToRest(pid int) bool {
	for start := time.Now(); ; time.Sleep(50 * time.Microsecond) { //nolint:forbidigo // no event tells of it
		if isIn(pid, stoppedStates) {
			return true
		}
		if time.Since(start) > restTime {
			return false
		}
	}
}

func parentOf(pid int) (int, error) {
	fields, err := stat(pid)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(fields[1])
}

// stat reads /proc/PID/stat from the third field on: state, ppid, ... The second,
// comm, may hold anything but ends in the last ")".
func stat(pid int) ([]string, error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return nil, err
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 2 {
		return nil, unix.ESRCH
	}
	return fields, nil
}

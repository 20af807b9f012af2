package front

import (
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// stop stops the front as COMMAND was stopped by sig, unless COMMAND has been
// continued since. SIGSTOP never comes here: it cannot be held back, so that the
// supervisor sends it, in order with the SIGCONT that follows.
//
// The order makes it safe. sig is made pending, blocked; only then is it seen
// whether "continued" has come; then sig is let in. The supervisor sends the
// message before the SIGCONT, and SIGCONT takes pending stop signals away
// (kernel/signal.c, prepare_signal): whenever it comes, the front ends up running.
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
	if readable(f.sock, 0) { // whatever it is, it is newer
		takePending(sig)
	} else {
		setMask(everything &^ setOf(sig)) // here the front stops
		setMask(everything)
	}
	_ = catch(sig)
	f.witness.saw(sig) // of which there is no note, if it stopped us
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

// parentOf reads the fourth field of /proc/PID/stat; the second one, comm, may
// hold anything but ends in the last ")".
func parentOf(pid int) (int, error) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 2 {
		return 0, unix.ESRCH
	}
	return strconv.Atoi(fields[1])
}

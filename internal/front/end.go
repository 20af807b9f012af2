package front

import (
	"os"

	"golang.org/x/sys/unix"
)

// ourStatus is the wait status of a process that exits with status.
func ourStatus(status int) unix.WaitStatus { return unix.WaitStatus(status << 8) }

// endAs ends this process as COMMAND ended: by the same signal, so that a shell's loop
// ends on ^C, a service manager sees a clean SIGTERM and Python -15. It returns where the
// process is to exit instead, and with which status: 128+n is for an init, which the
// kernel spares signals that have no handler.
//
// A core would be a second one, and of the wrong program. The front is not dumpable, but
// a process of ours that failed before it got so far is.
func endAs(status unix.WaitStatus) int {
	if !status.Signaled() {
		return status.ExitStatus()
	}
	sig := status.Signal()
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})
	setMask(everything)
	_ = dispose(sig, sigDfl) // SIGKILL's is so already
	_ = unix.Tgkill(os.Getpid(), unix.Gettid(), sig)
	setMask(everything &^ setOf(sig)) // here the process ends
	return 128 + int(sig)
}

package tracee

import (
	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/sys"
)

// state is what wait finds.
type state uint8

const (
	running state = iota
	stopped
	ended
	none // no tracee
)

// wait looks for a tracee of the calling thread that has stopped or ended, and leaves it
// so: the status of a stop is not needed again, and what ends a zombie has consequences.
// __WCLONE with __WNOTHREAD means tracees alone: of the thread's own children only those
// are looked at that end without SIGCHLD (eligible_child), and we have none.
func wait(kind int, tid int32, options int) (unix.WaitStatus, state) {
	options |= unix.WEXITED | unix.WSTOPPED | unix.WNOWAIT | unix.WNOTHREAD | unix.WCLONE
	child, errno := sys.Waitid(kind, tid, options)
	for errno == unix.EINTR {
		child, errno = sys.Waitid(kind, tid, options)
	}
	switch {
	case errno != 0:
		return 0, none
	case child.Tid == 0:
		return 0, running
	case child.Stopped():
		return child.WaitStatus(), stopped
	}
	return 0, ended
}

// hasNews tells whether a child of ours has anything to be reaped, on whichever thread.
func hasNews(pid int32) bool {
	child, errno := sys.Waitid(unix.P_PID, pid, unix.WEXITED|unix.WSTOPPED|unix.WCONTINUED|unix.WNOWAIT|unix.WNOHANG)
	return errno == 0 && child.Tid != 0
}

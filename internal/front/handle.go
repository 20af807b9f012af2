package front

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// handle is the supervisor's hold on the front, its parent.
type handle struct {
	pid   int
	pidfd int // -1 on kernels before 5.3
}

// holdParent takes hold of pid, unless it is no longer the parent.
func holdParent(pid int) (*handle, error) {
	pidfd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		pidfd = -1
	}
	if os.Getppid() != pid {
		return nil, errors.New("find the front: it has died")
	}
	if pidfd < 0 && !isAny(err, unix.ENOSYS, unix.EPERM) {
		return nil, fmt.Errorf("find the front: %w", os.NewSyscallError("pidfd_open", err))
	}
	return &handle{pid: pid, pidfd: pidfd}, nil
}

// send signals the front if it lives. Without a pidfd there is a window: a front
// that dies, and is reaped by its shell, between the two calls.
func (h *handle) send(sig unix.Signal) {
	if h.pidfd >= 0 {
		if err := unix.PidfdSendSignal(h.pidfd, sig, nil, 0); err != unix.ENOSYS {
			return
		}
	}
	if os.Getppid() == h.pid {
		_ = unix.Kill(h.pid, sig) //nolint:forbidigo // the window that is said above
	}
}

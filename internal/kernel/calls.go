package kernel

import (
	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/sys"
)

// Probes ask in errors: nil, what answer compares with, anything else.

// sendSignal is pidfd_send_signal(pidfd, 0, NULL, flags): signal 0 reaches nobody.
func sendSignal(pidfd int32, flags uint32) error {
	return sys.Err(sys.PidfdSendSignal(int(pidfd), 0, nil, flags))
}

func ioctlValue(fd int, request, arg uintptr) (int, error) {
	r, errno := sys.IoctlValue(fd, request, arg)
	return r, sys.Err(errno)
}

// ioctlPointer is an ioctl on a struct that the kernel reads or writes.
func ioctlPointer(fd int, request uintptr, arg []uint64) error {
	return sys.Err(sys.IoctlWords(fd, request, arg))
}

// seccompFilter installs a filter on the calling thread: seccomp(SET_MODE_FILTER).
func seccompFilter(flags uint, filter ...unix.SockFilter) (int, error) {
	r, errno := sys.SeccompSetModeFilter(flags, filter)
	return r, sys.Err(errno)
}

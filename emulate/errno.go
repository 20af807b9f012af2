package emulate

import (
	"errors"

	"golang.org/x/sys/unix"
)

// errnoOf is the one bridge from our errors to the caller's errnos: what is not an
// errno of the kernel's is something that the shim cannot serve.
func errnoOf(err error) unix.Errno {
	if err == nil {
		return 0
	}
	if errno := unix.Errno(0); errors.As(err, &errno) {
		return errno
	}
	return unix.ENOSYS
}

func closeFD(fd int) {
	if fd >= 0 {
		_ = unix.Close(fd)
	}
}

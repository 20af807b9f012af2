package emulate

import (
	"errors"

	"golang.org/x/sys/unix"
)

// kill and tgkill are the only places that send to a bare number, and they never get
// one that means a group, everybody, or nobody.

func kill(pid, sig int32) unix.Errno {
	if pid <= 0 {
		return unix.ESRCH
	}
	return errnoOf(unix.Kill(int(pid), unix.Signal(sig)))
}

func tgkill(tgid, tid, sig int32) unix.Errno {
	if tgid <= 0 || tid <= 0 {
		return unix.ESRCH
	}
	return errnoOf(unix.Tgkill(int(tgid), int(tid), unix.Signal(sig)))
}

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

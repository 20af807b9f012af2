package proc

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// nsIoctl makes a request whose argument is a value and whose result is the return
// value. Errors are bare errnos: they are answers.
//
// Precondition: fd is in nsfs.
func nsIoctl(fd int, request, value uintptr) (int, error) {
	n, _, err := unix.RawSyscall(unix.SYS_IOCTL, uintptr(fd), request, value)
	if err != 0 {
		return -1, err
	}
	return int(n), nil
}

// pidfdGetInfo makes the request PIDFD_GET_INFO.
//
// Precondition: fd is a pidfd. On another file, chosen by a caller, the ioctl could
// wait for ever.
func pidfdGetInfo(fd int, info *pidfdInfo) unix.Errno {
	_, _, err := unix.RawSyscall(unix.SYS_IOCTL, uintptr(fd), PIDFD_GET_INFO, uintptr(unsafe.Pointer(info)))
	return err
}

// poll looks at one descriptor without waiting, and returns what poll(2) does.
func poll(fd *unix.PollFd) (int, unix.Errno) {
	n, _, err := unix.RawSyscall(unix.SYS_POLL, uintptr(unsafe.Pointer(fd)), 1, 0)
	return int(n), err
}

// queryMap makes the request PROCMAP_QUERY.
//
// Precondition: fd is a maps file of procfs.
func queryMap(fd int, query *procmapQuery) unix.Errno {
	_, _, err := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), PROCMAP_QUERY, uintptr(unsafe.Pointer(query)))
	return err
}

package sys

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Read is read(2) of a file of procfs into buf, which is not empty. EINTR is retried.
func Read(fd int, buf []byte) (int, unix.Errno) {
	for {
		n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)))
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 {
			return 0, errno
		}
		return int(n), 0
	}
}

// Close is close(2) of a descriptor whose release does nothing that could block.
func Close(fd int) {
	_, _, _ = unix.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0)
}

// Poll looks at one descriptor without waiting, and returns what poll(2) does.
func Poll(fd *unix.PollFd) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall(unix.SYS_POLL, uintptr(unsafe.Pointer(fd)), 1, 0)
	return int(n), errno
}

// Call is a system call by its number whose arguments are plain numbers, for probes.
func Call(nr, arg uintptr) (uintptr, unix.Errno) {
	r, _, errno := unix.Syscall(nr, arg, 0, 0)
	return r, errno
}

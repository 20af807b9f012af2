package sys

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// IoctlValue is an ioctl whose argument and result are plain numbers. RawSyscall: only what
// cannot wait may be asked, so on a file of the kernel's, never on one that a caller chose.
//
// Precondition: fd is in nsfs, a pidfd or a seccomp listener.
func IoctlValue(fd int, request, value uintptr) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall(unix.SYS_IOCTL, uintptr(fd), request, value)
	if errno != 0 {
		return -1, errno
	}
	return int(n), 0
}

// IoctlWords is an ioctl on a struct that is given in words, for probes.
func IoctlWords(fd int, request uintptr, words []uint64) unix.Errno {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(unsafe.Pointer(&words[0])))
	return errno
}

package kernel

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// sendSignal is pidfd_send_signal(pidfd, 0, NULL, flags): signal 0 reaches nobody.
func sendSignal(pidfd int32, flags uint32) error {
	_, _, errno := unix.Syscall6(unix.SYS_PIDFD_SEND_SIGNAL, uintptr(pidfd), 0, 0, uintptr(flags), 0, 0)
	return errnoOf(errno)
}

// pidfdGetInfo is PIDFD_GET_INFO, _IOWR(0xFF, 11, struct pidfd_info), at the size
// that it had first (PIDFD_INFO_SIZE_VER0, 64 bytes): every later kernel takes it.
const pidfdGetInfo = 0xc040ff0b

func getInfo(pidfd int) error {
	var buf [64]byte // the first word is the mask: 0 asks for the least
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(pidfd), pidfdGetInfo, uintptr(unsafe.Pointer(&buf[0])))
	return errnoOf(errno)
}

// ioctlValue is an ioctl whose argument and result are plain numbers.
func ioctlValue(fd int, request, arg uintptr) (int, error) {
	r, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, arg)
	return int(r), errnoOf(errno)
}

// ioctlPointer is an ioctl on a struct that the kernel reads or writes.
func ioctlPointer(fd int, request uintptr, arg []uint64) error {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(unsafe.Pointer(&arg[0])))
	return errnoOf(errno)
}

// seccompNull is seccomp(operation, flags, NULL).
func seccompNull(operation, flags uintptr) error {
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, operation, flags, 0)
	return errnoOf(errno)
}

// seccompAction is seccomp(SECCOMP_GET_ACTION_AVAIL, 0, &action).
func seccompAction(action uint32) error {
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_ACTION_AVAIL, 0, uintptr(unsafe.Pointer(&action)))
	return errnoOf(errno)
}

// seccompFilter installs a filter on the calling thread: seccomp(SET_MODE_FILTER).
func seccompFilter(flags uintptr, filter ...unix.SockFilter) (int, error) {
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	r, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&prog)))
	return int(r), errnoOf(errno)
}

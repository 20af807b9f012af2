package notify

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// setModeFilter is seccomp(SECCOMP_SET_MODE_FILTER, flags, &prog) on this thread.
func setModeFilter(flags uint, program []unix.SockFilter) (int, unix.Errno) {
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	fd, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, uintptr(flags), uintptr(unsafe.Pointer(&prog)))
	runtime.KeepAlive(program)
	return int(fd), errno
}

// notifSizes is seccomp(SECCOMP_GET_NOTIF_SIZES).
func notifSizes() (sizes seccompNotifSizes, errno unix.Errno) {
	_, _, errno = unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_NOTIF_SIZES, 0, uintptr(unsafe.Pointer(&sizes)))
	return sizes, errno
}

// receive is ioctl(SECCOMP_IOCTL_NOTIF_RECV). It must be a Syscall: it blocks, and a
// thread in a RawSyscall would hold up the garbage collector for as long.
// Precondition: buf is as large as the kernel's struct seccomp_notif, and zero.
func receive(fd int, buf []byte) unix.Errno {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SECCOMP_IOCTL_NOTIF_RECV, uintptr(unsafe.Pointer(&buf[0])))
	return errno
}

// send is ioctl(SECCOMP_IOCTL_NOTIF_SEND), which never blocks for long.
func send(fd int, resp *seccompNotifResp) unix.Errno {
	_, _, errno := unix.RawSyscall(unix.SYS_IOCTL, uintptr(fd), unix.SECCOMP_IOCTL_NOTIF_SEND, uintptr(unsafe.Pointer(resp)))
	return errno
}

// idValid is ioctl(SECCOMP_IOCTL_NOTIF_ID_VALID) in either of its encodings.
func idValid(fd int, request uint, id *uint64) unix.Errno {
	_, _, errno := unix.RawSyscall(unix.SYS_IOCTL, uintptr(fd), uintptr(request), uintptr(unsafe.Pointer(id)))
	return errno
}

// setFlags is ioctl(SECCOMP_IOCTL_NOTIF_SET_FLAGS).
func setFlags(fd int, flags uint64) unix.Errno {
	_, _, errno := unix.RawSyscall(unix.SYS_IOCTL, uintptr(fd), unix.SECCOMP_IOCTL_NOTIF_SET_FLAGS, uintptr(flags))
	return errno
}

package sys

import (
	"runtime"
	"structs"
	"unsafe"

	"golang.org/x/sys/unix"
)

// SeccompSetModeFilter is seccomp(SECCOMP_SET_MODE_FILTER, flags, &prog) on this thread: a
// listener with SECCOMP_FILTER_FLAG_NEW_LISTENER.
func SeccompSetModeFilter(flags uint, program []unix.SockFilter) (int, unix.Errno) {
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	fd, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, uintptr(flags), uintptr(unsafe.Pointer(&prog)))
	runtime.KeepAlive(program)
	return int(fd), errno
}

// SeccompNull is seccomp(operation, flags, NULL).
func SeccompNull(operation, flags uintptr) unix.Errno {
	_, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, operation, flags, 0)
	return errno
}

// SeccompActionAvail is seccomp(SECCOMP_GET_ACTION_AVAIL, 0, &action), since 4.14.
func SeccompActionAvail(action uint32) unix.Errno {
	_, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_ACTION_AVAIL, 0, uintptr(unsafe.Pointer(&action)))
	return errno
}

// SeccompNotifSizes is struct seccomp_notif_sizes { __u16 seccomp_notif; __u16
// seccomp_notif_resp; __u16 seccomp_data; }, <linux/seccomp.h>.
type SeccompNotifSizes struct {
	_     structs.HostLayout
	Notif uint16
	Resp  uint16
	Data  uint16
}

// SeccompGetNotifSizes is seccomp(SECCOMP_GET_NOTIF_SIZES).
func SeccompGetNotifSizes() (sizes SeccompNotifSizes, errno unix.Errno) {
	_, _, errno = unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_NOTIF_SIZES, 0, uintptr(unsafe.Pointer(&sizes)))
	return sizes, errno
}

// SeccompNotifResp is struct seccomp_notif_resp { __u64 id; __s64 val; __s32 error; __u32
// flags; }, <linux/seccomp.h>. Error is negative.
type SeccompNotifResp struct {
	_     structs.HostLayout
	ID    uint64
	Val   int64
	Error int32
	Flags uint32
}

// SeccompNotifRecv is ioctl(SECCOMP_IOCTL_NOTIF_RECV). It must be a Syscall: it blocks, and a
// thread in a RawSyscall would hold up the garbage collector for as long.
//
// Precondition: buf is as large as the kernel's struct seccomp_notif, and zero.
func SeccompNotifRecv(fd int, buf []byte) unix.Errno {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SECCOMP_IOCTL_NOTIF_RECV, uintptr(unsafe.Pointer(&buf[0])))
	return errno
}

// SeccompNotifSend is ioctl(SECCOMP_IOCTL_NOTIF_SEND), which never blocks for long.
func SeccompNotifSend(fd int, resp *SeccompNotifResp) unix.Errno {
	_, _, errno := unix.RawSyscall(unix.SYS_IOCTL, uintptr(fd), unix.SECCOMP_IOCTL_NOTIF_SEND, uintptr(unsafe.Pointer(resp)))
	return errno
}

// SECCOMP_IOCTL_NOTIF_ID_VALID_WRONG_DIR is how ID_VALID was encoded until 5.9 (commit "seccomp:
// Fix ioctl number for SECCOMP_IOCTL_NOTIF_ID_VALID"); newer kernels take both. x/sys lacks it.
const SECCOMP_IOCTL_NOTIF_ID_VALID_WRONG_DIR = 0x80082102

// SeccompNotifIDValid is ioctl(SECCOMP_IOCTL_NOTIF_ID_VALID) in either of its encodings.
func SeccompNotifIDValid(fd int, request uint, id *uint64) unix.Errno {
	_, _, errno := unix.RawSyscall(unix.SYS_IOCTL, uintptr(fd), uintptr(request), uintptr(unsafe.Pointer(id)))
	return errno
}

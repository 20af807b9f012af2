package sys

import (
	"structs"
	"unsafe"

	"golang.org/x/sys/unix"
)

// PidfdGetfd is pidfd_getfd(2), since 5.6.
func PidfdGetfd(pidfd int, fd int32) (int, error) {
	r, _, errno := unix.RawSyscall(unix.SYS_PIDFD_GETFD, uintptr(pidfd), uintptr(fd), 0)
	if errno != 0 {
		return -1, errno
	}
	return int(r), nil
}

// PidfdSendSignal is pidfd_send_signal(2). A nil info is NULL.
func PidfdSendSignal(pidfd int, sig int32, info *[128]byte, flags uint32) unix.Errno {
	_, _, errno := unix.RawSyscall6(unix.SYS_PIDFD_SEND_SIGNAL, uintptr(pidfd), uintptr(sig), uintptr(unsafe.Pointer(info)), uintptr(flags), 0, 0)
	return errno
}

// PidfdInfo is the first version of struct pidfd_info, <linux/pidfd.h> of 6.13:
//
//	__u64 mask;
//	__u64 cgroupid;
//	__u32 pid, tgid, ppid, ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
//	__s32 exit_code;
type PidfdInfo struct {
	_ structs.HostLayout

	Mask     uint64
	CgroupID uint64
	Pid      uint32
	Tgid     uint32
	PPid     uint32
	IDs      [8]uint32
	ExitCode int32
}

// <linux/pidfd.h>. The request holds the size of the struct; x/sys has the number for a later,
// larger one. Every later kernel takes it.
const PIDFD_GET_INFO = 0xc040ff0b // _IOWR(0xFF, 11, 64 bytes)

// PidfdGetInfo is ioctl(PIDFD_GET_INFO), for what Mask asks.
//
// Precondition: fd is a pidfd. On another file, chosen by a caller, the ioctl could wait for ever.
func PidfdGetInfo(fd int, info *PidfdInfo) unix.Errno {
	_, _, errno := unix.RawSyscall(unix.SYS_IOCTL, uintptr(fd), PIDFD_GET_INFO, uintptr(unsafe.Pointer(info)))
	return errno
}

package sys

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// RtSigqueueinfo is rt_sigqueueinfo(2).
func RtSigqueueinfo(pid, sig int32, info *[128]byte) unix.Errno {
	_, _, errno := unix.RawSyscall(unix.SYS_RT_SIGQUEUEINFO, uintptr(pid), uintptr(sig), uintptr(unsafe.Pointer(info)))
	return errno
}

// RtTgsigqueueinfo is rt_tgsigqueueinfo(2).
func RtTgsigqueueinfo(tgid, tid, sig int32, info *[128]byte) unix.Errno {
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_TGSIGQUEUEINFO, uintptr(tgid), uintptr(tid), uintptr(sig), uintptr(unsafe.Pointer(info)), 0, 0)
	return errno
}

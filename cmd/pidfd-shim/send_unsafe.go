package main

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
)

// le is the byte order of x86.
var le = binary.LittleEndian

// pidfdSendSignal is the system call; a nil info is NULL.
func pidfdSendSignal(pidfd int, sig int32, info *[arch.SiginfoSize]byte, flags uint32) error {
	_, _, errno := unix.Syscall6(unix.SYS_PIDFD_SEND_SIGNAL, uintptr(pidfd), uintptr(sig),
		uintptr(unsafe.Pointer(info)), uintptr(flags), 0, 0)
	return orNil(errno)
}

func rtSigqueueinfo(pid, sig int32, info *[arch.SiginfoSize]byte) error {
	_, _, errno := unix.Syscall(unix.SYS_RT_SIGQUEUEINFO, uintptr(pid), uintptr(sig), uintptr(unsafe.Pointer(info)))
	return orNil(errno)
}

func rtTgsigqueueinfo(tgid, tid, sig int32, info *[arch.SiginfoSize]byte) error {
	_, _, errno := unix.Syscall6(unix.SYS_RT_TGSIGQUEUEINFO, uintptr(tgid), uintptr(tid), uintptr(sig),
		uintptr(unsafe.Pointer(info)), 0, 0)
	return orNil(errno)
}

// ptraceDetach is PTRACE_DETACH with a signal, which unix.PtraceDetach cannot give.
func ptraceDetach(tid int32, sig unix.Signal) error {
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_DETACH, uintptr(tid), 0, uintptr(sig), 0, 0)
	return orNil(errno)
}

func orNil(errno unix.Errno) error {
	if errno == 0 {
		return nil
	}
	return errno
}

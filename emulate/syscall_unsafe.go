package emulate

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// pidfdGetfd is pidfd_getfd(2), since 5.6.
func pidfdGetfd(pidfd int, fd int32) (int, error) {
	r, _, errno := unix.RawSyscall(unix.SYS_PIDFD_GETFD, uintptr(pidfd), uintptr(fd), 0)
	if errno != 0 {
		return -1, errno
	}
	return int(r), nil
}

// pidfdSendSignal is pidfd_send_signal(2). info is 128 bytes or nil.
func pidfdSendSignal(pidfd int, sig int32, info *[128]byte, flags uint32) unix.Errno {
	_, _, errno := unix.RawSyscall6(unix.SYS_PIDFD_SEND_SIGNAL, uintptr(pidfd), uintptr(sig), uintptr(unsafe.Pointer(info)), uintptr(flags), 0, 0)
	return errno
}

// pidfdKind is pidfd_send_signal of signal 0 with an si_code that nobody may use, which
// sends nothing and tells how far the checks got: EBADF not a pidfd or /proc/PID
// directory, EINVAL another pid namespace, EPERM a good one (0 if it is ourselves). An
// unreadable siginfo would tell the same, but costs a fault.
func pidfdKind(pidfd int, zero *[128]byte) unix.Errno {
	_, _, errno := unix.RawSyscall6(unix.SYS_PIDFD_SEND_SIGNAL, uintptr(pidfd), 0, uintptr(unsafe.Pointer(zero)), 0, 0, 0)
	return errno
}

// rtSigqueueinfo is rt_sigqueueinfo(2).
func rtSigqueueinfo(pid, sig int32, info *[128]byte) unix.Errno {
	_, _, errno := unix.RawSyscall(unix.SYS_RT_SIGQUEUEINFO, uintptr(pid), uintptr(sig), uintptr(unsafe.Pointer(info)))
	return errno
}

// rtTgsigqueueinfo is rt_tgsigqueueinfo(2).
func rtTgsigqueueinfo(tgid, tid, sig int32, info *[128]byte) unix.Errno {
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_TGSIGQUEUEINFO, uintptr(tgid), uintptr(tid), uintptr(sig), uintptr(unsafe.Pointer(info)), 0, 0)
	return errno
}

// closeAtOnce is close(2) of a descriptor whose release does nothing that could block.
func closeAtOnce(fd int) {
	_, _, _ = unix.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0)
}

// effectiveCaps is the first half of the effective set that capget(2) shows of a
// thread; none if it cannot be seen.
func effectiveCaps(tid int32) uint32 {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3, Pid: tid}
	var data [2]unix.CapUserData
	_, _, errno := unix.RawSyscall(unix.SYS_CAPGET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&data[0])), 0)
	if errno != 0 {
		return 0
	}
	return data[0].Effective
}

// kcmpFiles tells whether two tasks share one descriptor table (kcmp(2), KCMP_FILES).
func kcmpFiles(a, b int32) bool {
	const kcmpFILES = 2
	r, _, errno := unix.RawSyscall6(unix.SYS_KCMP, uintptr(a), uintptr(b), kcmpFILES, 0, 0, 0)
	return errno == 0 && r == 0
}

// processVMReadv is process_vm_readv(2) of one piece. It must be a Syscall: a caller
// can hand in memory that does not answer.
func processVMReadv(tid int32, addr uint64, into []byte) (int, unix.Errno) {
	local := unix.Iovec{Base: &into[0], Len: uint64(len(into))}
	remote := unix.RemoteIovec{Base: uintptr(addr), Len: len(into)}
	n, _, errno := unix.Syscall6(unix.SYS_PROCESS_VM_READV, uintptr(tid), uintptr(unsafe.Pointer(&local)), 1, uintptr(unsafe.Pointer(&remote)), 1, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

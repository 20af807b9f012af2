package kernel

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

func detach(tid int, sig unix.Signal) error {
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_DETACH, uintptr(tid), 0, uintptr(sig), 0, 0)
	return errnoOf(errno)
}

func seize(tid int) error {
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_SEIZE, uintptr(tid), 0, 0, 0, 0)
	return errnoOf(errno)
}

// syscallInfo is PTRACE_GET_SYSCALL_INFO into a buffer that holds the whole struct
// ptrace_syscall_info of <linux/ptrace.h>, 88 bytes.
func syscallInfo(tid int) error {
	var buf [128]byte
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_GET_SYSCALL_INFO, uintptr(tid),
		uintptr(len(buf)), uintptr(unsafe.Pointer(&buf[0])), 0, 0)
	return errnoOf(errno)
}

// readOwnMemory copies one byte of ours to another by process_vm_readv.
func readOwnMemory() error {
	from, to := new([1]byte), new([1]byte)
	local := []unix.Iovec{{Base: &to[0], Len: 1}}
	remote := []unix.RemoteIovec{{Base: uintptr(unsafe.Pointer(&from[0])), Len: 1}}
	_, err := unix.ProcessVMReadv(unix.Getpid(), local, remote, 0)
	runtime.KeepAlive(from)
	return err
}

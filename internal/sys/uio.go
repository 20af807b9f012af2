package sys

import (
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ProcessVMReadv is process_vm_readv(2) of one piece. It must be a Syscall: a caller can hand
// in memory that does not answer.
func ProcessVMReadv(tid int32, addr uint64, into []byte) (int, unix.Errno) {
	local := unix.Iovec{Base: &into[0], Len: uint64(len(into))}
	remote := unix.RemoteIovec{Base: uintptr(addr), Len: len(into)}
	n, _, errno := unix.Syscall6(unix.SYS_PROCESS_VM_READV, uintptr(tid), uintptr(unsafe.Pointer(&local)), 1, uintptr(unsafe.Pointer(&remote)), 1, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

// ReadOwnMemory copies one byte of ours to another by process_vm_readv(2).
func ReadOwnMemory() unix.Errno {
	from, to := new([1]byte), make([]byte, 1)
	_, errno := ProcessVMReadv(int32(unix.Getpid()), uint64(uintptr(unsafe.Pointer(from))), to)
	runtime.KeepAlive(from)
	return errno
}

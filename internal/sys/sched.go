package sys

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Yield is sched_yield(2).
func Yield() { _, _, _ = unix.Syscall(unix.SYS_SCHED_YIELD, 0, 0, 0) }

// Processor is the one that getcpu(2) says the calling thread runs on.
func Processor() (int, unix.Errno) {
	var cpu uint32
	_, _, errno := unix.RawSyscall(unix.SYS_GETCPU, uintptr(unsafe.Pointer(&cpu)), 0, 0)
	return int(cpu), errno
}

// SetAffinity is sched_setaffinity(2) of a task of ours. unix.SchedSetaffinity waits for the
// runtime to be told of the call.
func SetAffinity(tid int32, set *unix.CPUSet) unix.Errno {
	_, _, errno := unix.RawSyscall(unix.SYS_SCHED_SETAFFINITY, uintptr(tid), unsafe.Sizeof(*set), uintptr(unsafe.Pointer(set)))
	return errno
}

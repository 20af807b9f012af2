package sys

import (
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// <linux/futex.h>; x/sys lacks them.
const (
	FUTEX_WAIT         = 0
	FUTEX_WAKE         = 1
	FUTEX_PRIVATE_FLAG = 128
)

// FutexWake wakes one task of ours that sleeps on the word.
func FutexWake(word *atomic.Uint32) {
	_, _, _ = unix.RawSyscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), FUTEX_WAKE|FUTEX_PRIVATE_FLAG, 1, 0, 0, 0)
}

// FutexWait returns when the word is another than value, or may be.
func FutexWait(word *atomic.Uint32, value uint32) {
	_, _, _ = unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), FUTEX_WAIT|FUTEX_PRIVATE_FLAG, uintptr(value), 0, 0, 0)
}

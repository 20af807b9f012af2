//go:build !cgo

package born

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// CanExec: nothing runs before the Go runtime in a pure build.
const CanExec = false

// At finds what the Go runtime has left to see. Lost in a pure build: of the
// ignored signals those that the runtime handles (all but HUP, INT, TSTP, TTIN,
// TTOU, CONT, 32 to 34), of the blocked ones those that it unblocks (what would
// kill a Go program, the faults, CHLD, PROF, URG, 32 to 34: blockableSig in
// runtime/signal_unix.go), and which standard descriptors were closed.
//
// Precondition: the calling thread's mask is still the one it started with.
func At() State {
	var s State
	unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_BLOCK, 0,
		uintptr(unsafe.Pointer(&s.Blocked)), unsafe.Sizeof(s.Blocked), 0, 0)
	for sig := uintptr(1); sig <= 64; sig++ {
		var old struct{ handler, flags, restorer, mask uint64 } // struct kernel_sigaction
		_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, sig, 0,
			uintptr(unsafe.Pointer(&old)), unsafe.Sizeof(old.mask), 0, 0)
		if errno == 0 && old.handler == 1 { // SIG_IGN
			s.Ignored |= 1 << (sig - 1)
		}
	}
	return s
}

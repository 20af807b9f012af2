package emulate

import (
	"structs"
	"unsafe"

	"golang.org/x/sys/unix"
)

// struct f_owner_ex { int type; __kernel_pid_t pid; }, <asm-generic/fcntl.h>.
type fownerEx struct {
	_    structs.HostLayout
	what int32
	pid  int32
}

// F_OWNER_TID and F_OWNER_PID, <asm-generic/fcntl.h>.
const (
	fownerTid = 0
	fownerPid = 1
)

// setOwner is fcntl(F_SETOWN_EX), since 2.6.32.
func setOwner(fd, what int, pid int32) unix.Errno {
	owner := fownerEx{what: int32(what), pid: pid}
	_, _, errno := unix.RawSyscall(unix.SYS_FCNTL, uintptr(fd), unix.F_SETOWN_EX, uintptr(unsafe.Pointer(&owner)))
	return errno
}

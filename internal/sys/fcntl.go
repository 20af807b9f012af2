package sys

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

// What kind of number owns a file, <asm-generic/fcntl.h>.
const (
	F_OWNER_TID = 0
	F_OWNER_PID = 1
)

// SetOwner is fcntl(F_SETOWN_EX), since 2.6.32.
func SetOwner(fd, what int, pid int32) unix.Errno {
	owner := fownerEx{what: int32(what), pid: pid}
	_, _, errno := unix.RawSyscall(unix.SYS_FCNTL, uintptr(fd), unix.F_SETOWN_EX, uintptr(unsafe.Pointer(&owner)))
	return errno
}

// Openat2 opens the NUL-terminated path, as one that cannot wait.
//
// Precondition: dirfd is in a procfs, where nothing waits, and path ends in a NUL.
func Openat2(dirfd int, path []byte, how *unix.OpenHow) (int, unix.Errno) {
	fd, _, errno := unix.RawSyscall6(unix.SYS_OPENAT2, uintptr(dirfd), uintptr(unsafe.Pointer(&path[0])),
		uintptr(unsafe.Pointer(how)), unix.SizeofOpenHow, 0, 0)
	if errno != 0 {
		return -1, errno
	}
	return int(fd), 0
}

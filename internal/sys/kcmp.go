package sys

import "golang.org/x/sys/unix"

// <linux/kcmp.h>; x/sys lacks them.
const (
	KCMP_FILE  = 0
	KCMP_FILES = 2
)

// Kcmp is kcmp(2), since 3.5 where the kernel was built with it: 0 says that two resources of
// two tasks are one. The indices are descriptors of KCMP_FILE.
func Kcmp(a, b int32, what int, indexA, indexB uintptr) (int, unix.Errno) {
	r, _, errno := unix.RawSyscall6(unix.SYS_KCMP, uintptr(a), uintptr(b), uintptr(what), indexA, indexB, 0)
	return int(r), errno
}

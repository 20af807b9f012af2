package proc

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// openat2 opens the NUL-terminated path. RawSyscall, since nothing in procfs waits:
// the first component is looked up in a directory that is known to be one.
//
// Precondition: dirfd is in a procfs, and path ends in a NUL.
func openat2(dirfd int, path []byte, how *unix.OpenHow) (int, unix.Errno) {
	fd, _, err := unix.RawSyscall6(unix.SYS_OPENAT2, uintptr(dirfd), uintptr(unsafe.Pointer(&path[0])),
		uintptr(unsafe.Pointer(how)), unix.SizeofOpenHow, 0, 0)
	if err != 0 {
		return -1, err
	}
	return int(fd), 0
}

// read reads a file of procfs into buf, which is not empty.
func read(fd int, buf []byte) (int, unix.Errno) {
	for {
		n, _, err := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&buf[0])), uintptr(len(buf)))
		if err == unix.EINTR {
			continue
		}
		if err != 0 {
			return 0, err
		}
		return int(n), 0
	}
}

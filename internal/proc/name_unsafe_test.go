package proc

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// setName names the calling thread.
func setName(name string) error {
	p, err := unix.BytePtrFromString(name)
	if err != nil {
		return err
	}
	return unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(p)), 0, 0, 0)
}

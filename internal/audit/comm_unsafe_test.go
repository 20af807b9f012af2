package audit

import (
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// setComm names the calling thread.
func setComm(t *testing.T, name string) {
	t.Helper()
	p, err := unix.BytePtrFromString(name)
	if err == nil {
		err = unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(p)), 0, 0, 0)
	}
	if err != nil {
		t.Error(err)
	}
}

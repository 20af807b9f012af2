package sys

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// EffectiveCaps is the first half of the effective set that capget(2) shows of a thread; none
// if it cannot be seen.
func EffectiveCaps(tid int32) uint32 {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3, Pid: tid}
	var data [2]unix.CapUserData
	_, _, errno := unix.RawSyscall(unix.SYS_CAPGET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&data[0])), 0)
	if errno != 0 {
		return 0
	}
	return data[0].Effective
}

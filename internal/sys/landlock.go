package sys

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// LandlockCreateRuleset is landlock_create_ruleset(2), <linux/landlock.h> of 6.12.
func LandlockCreateRuleset(attr *unix.LandlockRulesetAttr) (int, unix.Errno) {
	fd, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(attr)), unsafe.Sizeof(*attr), 0)
	return int(fd), errno
}

// LandlockABI is landlock_create_ruleset(2) with LANDLOCK_CREATE_RULESET_VERSION.
func LandlockABI() (int, unix.Errno) {
	abi, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	return int(abi), errno
}

// LandlockRestrictSelf is landlock_restrict_self(2), of the calling thread alone.
func LandlockRestrictSelf(ruleset int) unix.Errno {
	_, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, uintptr(ruleset), 0, 0)
	return errno
}

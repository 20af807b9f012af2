package emulate

import (
	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
)

// maxSignal is _NSIG.
const maxSignal = 64

// kernelOnly is check 10's range: codes that say the kernel or a kill made the signal.
func kernelOnly(code int32) bool { return code >= 0 || code == arch.SI_TKILL }

// isUnseen reports whether no receiver sees a signal's siginfo.
func isUnseen(sig int32) bool { return sig == 0 || isForced(sig) }

// isForced reports whether an init gets a signal that comes from an ancestor's namespace. It
// drops the others from there, too.
func isForced(sig int32) bool {
	return unix.Signal(sig) == unix.SIGKILL || unix.Signal(sig) == unix.SIGSTOP
}

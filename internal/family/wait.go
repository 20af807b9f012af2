package family

import (
	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// waiting is waitid(P_PIDFD), made as waitid(P_PID).
type waiting struct {
	call  shim.Rewrite
	begun bool
	empty unix.Errno // in place of success
	errno unix.Errno // in place of whatever it returns
}

// Wait is waitid(P_PIDFD): of args, those after the first two are the caller's own. Errno is
// what it returns if there is no such child, or descriptor; the kernel still writes what it
// writes then.
func Wait(abi arch.ABI, pid int32, m Meaning, args [6]uint64, errno unix.Errno) shim.Program {
	args[0], args[1] = unix.P_PID, uint64(uint32(pid))
	w := &waiting{errno: errno}
	if options := args[3]; m.Nonblock && options&unix.WNOHANG == 0 {
		args[3] |= unix.WNOHANG
		if !m.Ended && options&(unix.WSTOPPED|unix.WCONTINUED) == 0 {
			args[3] |= unix.WNOWAIT // it may end meanwhile
			w.empty = unix.EAGAIN
		}
	}
	w.call = shim.Rewrite{Nr: shim.NumberOf(arch.Waitid, abi), Args: args}
	return w
}

// Next implements shim.Program.
func (w *waiting) Next(result int64) shim.Step {
	switch {
	case !w.begun:
		w.begun = true
		return shim.Step{Call: w.call, Waits: true}
	case w.errno != 0:
		result = -int64(w.errno)
	case w.empty != 0 && result == 0:
		result = -int64(w.empty)
	}
	return shim.End(result)
}

// Forked implements shim.Program.
func (w *waiting) Forked(int32) int32 { return -1 }

// Gone implements shim.Program.
func (w *waiting) Gone() {}

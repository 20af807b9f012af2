package emulate

import (
	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// request is a call of the family as the kernel reads its registers. The older calls
// name their target by number and have flags that say what they mean by it.
type request struct {
	what  arch.Syscall
	pidfd int32 // pidfd_send_signal's
	tgid  int32 // of tgkill and rt_tgsigqueueinfo; numbers are as the caller counts
	pid   int32 // of all but pidfd_send_signal; of a group 0, -1 or negative
	sig   int32
	info  uint64
	given bool // the kernel reads a siginfo, wherever it is said to be
	flags uint32
}

// requestOf reads the registers of a call.
func requestOf(c *shim.Call) request {
	what, args := c.What, &c.Args
	switch what {
	case arch.Kill:
		r := request{what: what, pid: args.Int(0), sig: args.Int(1)}
		if r.pid <= 0 {
			r.flags = flagProcessGroup
		}
		return r
	case arch.Tkill:
		return request{what: what, pid: args.Int(0), sig: args.Int(1), flags: flagThread}
	case arch.Tgkill:
		return request{what: what, tgid: args.Int(0), pid: args.Int(1), sig: args.Int(2), flags: flagThread}
	case arch.RtSigqueueinfo:
		return request{what: what, pid: args.Int(0), sig: args.Int(1), info: args.Pointer(2), given: true}
	case arch.RtTgsigqueueinfo:
		return request{
			what: what, tgid: args.Int(0), pid: args.Int(1), sig: args.Int(2), info: args.Pointer(3),
			given: true, flags: flagThread,
		}
	}
	info := args.Pointer(2)
	return request{what: what, pidfd: args.Int(0), sig: args.Int(1), info: info, given: info != 0, flags: args.Uint(3)}
}

// byNumber tells the older calls, which the kernel always has, from pidfd_send_signal.
func (r *request) byNumber() bool { return r.what != arch.PidfdSendSignal }

package emulate

import (
	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// pass lets the kernel run the call in the caller.
func (h *SendSignal) pass(c *shim.Call) shim.Verdict {
	c.Record.Path = shim.PathContinue
	if h.makesItself() && c.What == arch.PidfdSendSignal {
		c.Record.Path, c.Record.Sent, c.Record.Guard = shim.PathCaller, shim.SentPidfdSendSignal, shim.GuardPidfd
	}
	if h.Results && h.hopper != nil {
		if v, held := h.passHeld(c); held {
			return v
		}
	}
	return shim.Pass()
}

// passJudged is pass where the policy has a word in it.
func (h *SendSignal) passJudged(a *attempt) shim.Verdict {
	denied := h.judge(a)
	if v, cut := cutShort(a.cut); cut {
		return v
	}
	if denied == 0 {
		a.call.Record.Unsafe = a.asks()&^lasting != 0
		return h.pass(a.call)
	}
	if errno := h.Decide(a); errno != 0 { // a check of the kernel's may come first
		return h.fail(a, errno)
	}
	return h.fail(a, denied)
}

// passHeld has a caller make its own call while it is held, for somebody who wants to see
// what the call returns. Not the SIGSTOP of an init, which would lose its protection.
func (h *SendSignal) passHeld(c *shim.Call) (v shim.Verdict, held bool) {
	if unix.Signal(c.Record.Sig) == unix.SIGSTOP {
		if caller, err := h.callers.get(h, c.Tid); err != nil || caller.nested {
			return v, false
		}
	}
	if held, _ = h.hopper.Hold(c, 0); !held {
		return v, false
	}
	h.holds = true
	if h.Backend.Blocked(c) != nil {
		h.hopper.Drop()
		h.Ledger.hopped(c.Tid, false)
		return shim.Gone(), true
	}
	return h.run(shim.Rewrite{Nr: uint64(c.Frame.Nr), Args: c.Frame.Raw}), true
}

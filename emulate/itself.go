package emulate

import (
	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/policy"
)

// leftToItself tells of a call by which a process signals itself (raise, pthread_kill,
// abort, Go's own preemption) and which the policy allows. Whom the number means cannot
// change while the caller waits in the call, so the kernel may run it, and need not be told
// more. A process's other threads are named by tgkill with their process alone: the number
// of a thread that has ended may be anybody's.
func (h *SendSignal) leftToItself(a *attempt) bool {
	c, r := a.caller, &a.req
	if !h.Continues || c.number <= 0 || !h.siginfoSettled(a) {
		return false
	}
	switch r.what {
	case arch.Tgkill, arch.RtTgsigqueueinfo:
		if r.tgid != c.number {
			return false
		}
	case arch.Tkill:
		if r.pid != c.number || c.tid != c.tgid {
			return false
		}
	default:
		if r.pid != c.number {
			return false
		}
	}
	t := &a.target
	t.own, t.pid, t.tgid = true, c.tgid, c.tgid
	if h.judge(a) != 0 { // what the kernel says first is to be found out
		*t = target{}
		a.query, a.cut = policy.QueryOf(r.what, a.call.ABI, a.call.Args), nil
		return false
	}
	a.call.Record.TargetPid = c.tgid
	h.look(a)
	return true
}

// siginfoSettled tells that no rule asks for siginfo, which the kernel would read again.
func (h *SendSignal) siginfoSettled(a *attempt) bool {
	return h.Unsafe || !a.req.given || a.asks()&(policy.Code|policy.Value) == 0
}

package emulate

import (
	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/policy"
)

// refusedBy is the number of the check, in the list above Resolve, that refused a call: 0
// where it was a rule, or where the shim could not serve it.
func (h *SendSignal) refusedBy(a *attempt, errno unix.Errno) uint8 {
	switch {
	case a.call.Record.Denied, errno == unix.ENOSYS:
		return 0
	case a.early != 0 && a.early == errno:
		return h.refusedEarly(a)
	}
	switch errno {
	case unix.EINVAL:
		if a.hasInfo && a.info.Signo() != a.req.sig {
			return 9
		}
		return 12
	case unix.EPERM:
		if a.hasInfo && kernelOnly(a.info.Code()) && !a.isCaller {
			return 10
		}
		return 13
	case unix.ESRCH:
		return 11
	case unix.EAGAIN:
		return 14
	}
	return 0
}

// explain asks the policy again, for the eye: a fact may be another by now.
func (h *SendSignal) explain(a *attempt) {
	q := policy.QueryOf(a.req.what, a.call.ABI, a.call.Args)
	h.facts = facts{h, a}
	_, steps := a.policy.Explain(&q, &h.facts, policy.Show)
	a.call.Record.Why = policy.Reasons(steps)
}

// refusedEarly is for the checks up to 8.
func (h *SendSignal) refusedEarly(a *attempt) uint8 {
	flags := a.req.flags
	switch {
	case a.early == unix.EFAULT:
		return 7
	case a.early == unix.E2BIG:
		return 8
	case a.early == unix.ESRCH:
		return 11
	case a.early == unix.EBADF && a.target.fd > 0:
		return 5
	case a.early == unix.EBADF:
		return 4
	case a.early != unix.EINVAL || a.req.byNumber():
		return 0
	case flags&^h.Rules.Flags != 0:
		return 1
	case flags&(flags-1) != 0:
		return 2
	}
	return 6
}

package emulate

import (
	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/policy"
)

// A policy that only logs decides nothing: the attempt goes its way as without one, and what
// the policy would have said is noted where somebody looks.

// watchOnly takes such a policy out of an attempt's way.
func (h *SendSignal) watchOnly(a *attempt) {
	if !a.policy.OnlyLogs() {
		return
	}
	p := a.policy
	a.policy = nil
	if !h.Watched {
		return
	}
	a.query = policy.QueryOf(a.req.what, a.call.ABI, a.call.Args)
	if v, decided := p.Early(&a.query); decided {
		a.note(v)
		return
	}
	a.logs = p
}

// note writes down which rule decided, and how.
func (a *attempt) note(v policy.Verdict) {
	r := &a.call.Record
	r.Rule, r.Denied, r.Logged = v.Rule, !v.Allow, v.Log
}

// noteLate asks what registers do not tell, where the kernel would ask for permission. A
// call that fails before has not been asked about.
func (h *SendSignal) noteLate(a *attempt) {
	if a.early != 0 || a.caller == nil || a.target.reaped && !a.group() {
		return
	}
	if a.group() && a.logs.AsksTarget() {
		h.noteMembers(a)
		return
	}
	h.facts = facts{h, a}
	a.note(a.logs.Decide(&a.query, &h.facts))
}

// noteMembers notes of a group the first member that would have been spared.
func (h *SendSignal) noteMembers(a *attempt) {
	members, err := h.members(a)
	if err != nil {
		return
	}
	for _, pid := range members {
		member := attempt{
			call: a.call, req: a.req, caller: a.caller, info: a.info, hasInfo: a.hasInfo,
			creds: a.creds, hasCreds: a.hasCreds, query: a.query, member: true, ancestry: a.ancestry,
		}
		member.req.flags = 0
		member.query.Facts = policy.Facts{}
		if h.openTarget(&member.target, pid) != nil {
			continue
		}
		h.facts = facts{h, &member}
		a.note(a.logs.Decide(&member.query, &h.facts))
		member.target.close(a.call.Worker())
		if a.call.Record.Logged {
			return
		}
	}
}

// lookResolve finds out for the eye whom a call names that the kernel will run.
func (h *SendSignal) lookResolve(a *attempt) {
	var err error
	if a.caller, err = h.callers.get(h, a.call.Tid); err != nil {
		return
	}
	if a.req.byNumber() {
		a.early, err = h.resolveNumber(a)
		if a.group() && a.target.pid > 0 { // the leader stands for the group
			a.call.Record.TargetPid = a.target.pid
		}
	} else if a.early, err = h.resolveTarget(a); a.early == 0 && err == nil {
		a.early, err = h.identify(a)
	}
	if err != nil {
		a.early = unix.ENOSYS // whatever it would be: nothing is known
	}
}

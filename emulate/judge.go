package emulate

import (
	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/task"
	"github.com/pidfd-shim/pidfd-shim/policy"
)

// judge asks the policy: of registers before anything is looked at, and of the rest where
// the kernel asks for permission.
type judge struct {
	tasks    *task.View
	groups   groups
	sandbox  *Sandbox
	root     int32 // Config's, as ours
	ours     func(pid int32) bool
	watched  bool
	evidence evidence // of the attempt that is judged
}

// byRegisters asks what registers alone decide. It comes before every check of the kernel, as
// it does in the filter.
func (j *judge) byRegisters(a *attempt) (unix.Errno, bool) {
	if a.policy == nil {
		return 0, false
	}
	a.query = policy.QueryOf(a.req.what, a.call.ABI, a.call.Args)
	v, decided := a.policy.Early(&a.query)
	if !decided {
		return 0, false
	}
	a.fixed = v.Allow
	a.note(v)
	return v.Errno, !v.Allow
}

// allowed asks the policy what registers alone did not decide: 0, or the errno of the
// rule that denies.
func (j *judge) allowed(a *attempt) unix.Errno {
	if a.logs != nil {
		j.noteLate(a)
		return 0
	}
	if a.policy == nil || a.fixed {
		return 0
	}
	j.evidence = evidence{j, a}
	v := a.policy.Decide(&a.query, &j.evidence)
	a.note(v)
	if v.Allow {
		return 0
	}
	return v.Errno
}

// explain asks the policy again, for the eye: a fact may be another by now.
func (j *judge) explain(a *attempt) {
	q := policy.QueryOf(a.req.what, a.call.ABI, a.call.Args)
	j.evidence = evidence{j, a}
	_, steps := a.policy.Explain(&q, &j.evidence, policy.Show)
	a.call.Record.Why = policy.Reasons(steps)
}

// A policy that only logs decides nothing: the attempt goes its way as without one, and what
// the policy would have said is noted where somebody looks.

// watchOnly takes such a policy out of an attempt's way.
func (j *judge) watchOnly(a *attempt) {
	if !a.policy.OnlyLogs() {
		return
	}
	p := a.policy
	a.policy = nil
	if !j.watched {
		return
	}
	a.query = policy.QueryOf(a.req.what, a.call.ABI, a.call.Args)
	if v, decided := p.Early(&a.query); decided {
		a.note(v)
		return
	}
	a.logs = p
}

// noteLate asks what registers do not tell, where the kernel would ask for permission. A
// call that fails before has not been asked about.
func (j *judge) noteLate(a *attempt) {
	if a.pendingErrno != 0 || a.caller == nil || a.target.reaped && !a.group() {
		return
	}
	if a.group() && a.logs.AsksTarget() {
		j.noteMembers(a)
		return
	}
	j.evidence = evidence{j, a}
	a.note(a.logs.Decide(&a.query, &j.evidence))
}

// noteMembers notes of a group the first member that would have been spared.
func (j *judge) noteMembers(a *attempt) {
	members, err := j.groups.members(a)
	if err != nil {
		return
	}
	for _, pid := range members {
		member := attempt{
			call: a.call, backend: a.backend, req: a.req, query: a.query, member: true, ancestry: a.ancestry,
			facts: facts{caller: a.caller, info: a.info, hasInfo: a.hasInfo, creds: a.creds, hasCreds: a.hasCreds},
		}
		member.req.flags = 0
		member.query.Facts = policy.Facts{}
		if member.target.open(j.tasks, pid) != nil {
			continue
		}
		j.evidence = evidence{j, &member}
		a.note(a.logs.Decide(&member.query, &j.evidence))
		member.target.close(a.call.Worker())
		if a.call.Record.Logged {
			return
		}
	}
}

package emulate

import (
	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/policy"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// sendGroup sends to the process group whose number is the target's. A caller with the
// supervisor's own rights leaves it to the kernel; for any other each member is judged
// and sent to by itself, because the kernel would judge by the supervisor's rights. So it
// is where a rule asks about targets: through one allowed member nobody else is reached.
// Where a.cut is set, none of it was done.
func (s *sender) sendGroup(a *attempt) unix.Errno {
	r := &a.call.Record
	switch {
	case !a.req.byNumber() && !a.memberwise() && s.plan.path(a) == shim.PathForward && s.rights.areOurs(a):
		return s.forward(a, a.target.fd, a.req.flags)
	case a.target.pid == 0 && !a.target.everybody: // the leader was reaped: its number cannot be had any more
		r.Path = s.plan.path(a)
		return unix.ESRCH
	}
	members, err := s.groups.members(a)
	if isCut(err) {
		a.cut = err
		return 0
	}
	if err != nil {
		s.log.Error("cannot list a process group: the call gets ENOSYS", "tid", a.call.Tid, "error", err)
		return unix.ENOSYS
	}
	if len(members) == maxMembers {
		s.log.Error("a process group is too large: the rest of it is not signalled", "tid", a.call.Tid, "members", len(members))
	}
	r.Path = s.plan.path(a)
	r.TargetPid = max(r.TargetPid, a.target.pid) // the leader stands for the group
	a.ancestry = ancestry{}
	if !a.call.BeginSend() { // each member's send is a part of it
		a.cut = shim.ErrGone
		return 0
	}
	return s.sendMembers(a, members)
}

// sendMembers stops between two members if nobody waits any more, but not once somebody has
// the signal: the kernel's call is one step, so a restart is answered with its result.
func (s *sender) sendMembers(a *attempt, members []int32) unix.Errno {
	r := &a.call.Record
	_ = a.callerCreds(s.tasks) // once for all; where it fails each member fails by itself
	result := unix.ESRCH
	denied, sent, rule := false, false, "" // the rule of the first who gets it, else of the first
	for i, pid := range members {
		if !a.out && a.backend.Blocked(a.call) != nil {
			a.cut = shim.ErrGone
			return 0
		}
		errno := s.sendMember(a, pid)
		a.out = a.out || errno == 0 && a.req.sig != 0
		denied = denied || r.Denied
		if rule == "" || errno == 0 && !sent {
			rule = r.Rule
		}
		sent = sent || errno == 0
		result = a.target.sum(result, errno, i == 0)
	}
	r.Denied, r.Rule = denied && result != 0, rule
	return result
}

// sendMember takes a handle on one member, sees that it still is one, and judges it
// like a target of its own.
func (s *sender) sendMember(a *attempt, pid int32) unix.Errno {
	member := attempt{
		call: a.call, backend: a.backend, req: a.req, policy: a.policy, query: a.query, fixed: a.fixed,
		facts:  facts{caller: a.caller, info: a.info, hasInfo: a.hasInfo, creds: a.creds, hasCreds: a.hasCreds},
		member: true, ancestry: a.ancestry,
	}
	member.req.flags = 0
	member.query.Facts = policy.Facts{}
	t := &member.target
	if err := t.open(s.tasks, pid); err != nil {
		return unix.ESRCH
	}
	defer t.close(a.call.Worker())
	if !s.groups.isMeant(a, pid) {
		return unix.ESRCH
	}
	if uint32(a.req.sig) > maxSignal {
		return unix.EINVAL
	}
	if a.memberwise() {
		if errno := s.judge.allowed(&member); errno != 0 {
			return errno
		}
	}
	if errno := s.rights.check(&member); errno != 0 {
		return errno
	}
	a.call.Record.Members++
	switch {
	case isForced(a.req.sig) && t.isInitOf(s.tasks, a.caller):
		return 0
	case s.plan.path(a) == shim.PathForward:
		return s.forward(&member, t.fd, 0)
	}
	return s.emulate(&member, t)
}

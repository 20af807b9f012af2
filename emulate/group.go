package emulate

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/proc"
	"github.com/pidfd-shim/pidfd-shim/internal/sys"
	"github.com/pidfd-shim/pidfd-shim/policy"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// sendGroup sends to the process group whose number is the target's. A caller with the
// supervisor's own rights leaves it to the kernel; for any other each member is judged
// and sent to by itself, because the kernel would judge by the supervisor's rights. So it
// is where a rule asks about targets: through one allowed member nobody else is reached.
// Where a.cut is set, none of it was done.
func (h *SendSignal) sendGroup(a *attempt) unix.Errno {
	r := &a.call.Record
	switch {
	case !a.req.byNumber() && !h.memberwise(a) && h.path(a) == shim.PathForward && h.hasOurRights(a):
		return h.forward(a, a.target.fd, a.req.flags)
	case a.target.pid == 0 && !a.target.everybody: // the leader was reaped: its number cannot be had any more
		r.Path = h.path(a)
		return unix.ESRCH
	}
	members, err := h.members(a)
	if _, cut := cutShort(err); cut {
		a.cut = err
		return 0
	}
	if err != nil {
		h.Log.Error("cannot list a process group: the call gets ENOSYS", "tid", a.call.Tid, "error", err)
		return unix.ENOSYS
	}
	if len(members) == maxMembers {
		h.Log.Error("a process group is too large: the rest of it is not signalled", "tid", a.call.Tid, "members", len(members))
	}
	r.Path = h.path(a)
	r.TargetPid = max(r.TargetPid, a.target.pid) // the leader stands for the group
	a.ancestry = ancestry{}
	if !a.call.BeginSend() { // each member's send is a part of it
		a.cut = shim.ErrGone
		return 0
	}
	return h.sendMembers(a, members)
}

// sendMembers stops between two members if nobody waits any more, but not once somebody has
// the signal: the kernel's call is one step, so a restart is answered with its result.
func (h *SendSignal) sendMembers(a *attempt, members []int32) unix.Errno {
	r := &a.call.Record
	_ = h.callerCreds(a) // once for all; where it fails each member fails by itself
	result := unix.ESRCH
	denied, sent, rule := false, false, "" // the rule of the first who gets it, else of the first
	for i, pid := range members {
		if !a.out && h.Backend.Blocked(a.call) != nil {
			a.cut = shim.ErrGone
			return 0
		}
		errno := h.sendMember(a, pid)
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

// sum is the result of a group after one more member: of a process group success if
// anybody got the signal, else the last error; of everybody the last result that was not
// EPERM (kernel/signal.c, __kill_pgrp_info and kill_something_info, 6.18). A denial by a
// rule counts as the kernel's would.
func (t *target) sum(so, errno unix.Errno, first bool) unix.Errno {
	switch {
	case !t.everybody && (first || so != 0):
		return errno
	case !t.everybody:
		return 0
	case errno == 0 || errno == unix.EAGAIN || errno == unix.EINVAL:
		return errno
	case first:
		return 0
	}
	return so
}

// maxMembers bounds what one call can cost.
const maxMembers = 1 << 16

// members lists the processes that are meant.
func (h *SendSignal) members(a *attempt) (list []int32, err error) {
	looks, found := 0, 0
	listed := h.Proc.EachPid(func(pid int32) bool {
		if err = h.spend(a, &looks, quickLooks); err != nil {
			return false
		}
		if h.isMeant(a, pid) {
			err = h.spend(a, &found, quickMembers)
			list = append(list, pid)
		}
		return err == nil && len(list) < maxMembers
	})
	return list, errors.Join(err, listed)
}

// isMeant tells whether a process is in the group; of everybody, whether the caller sees it
// and it is neither the init of the caller's namespace nor the caller, nor ours.
func (h *SendSignal) isMeant(a *attempt, pid int32) bool {
	if !a.target.everybody {
		group, known := h.groupOf(pid)
		return known && group == a.target.pid
	}
	if pid == a.caller.tgid || h.Ours(pid) {
		return false
	}
	number, ok := h.numberFor(a.caller, pid)
	return ok && number > 1 && (!a.caller.nested || h.seenFrom(a.caller, pid))
}

func (h *SendSignal) seenFrom(c *caller, pid int32) bool {
	below, err := h.visibleFrom(c.pidns, pid)
	return err == nil && below
}

// groupOf is a process's group, without procfs text unless a security module forbids to
// ask (security_task_getpgid).
func (h *SendSignal) groupOf(pid int32) (int32, bool) {
	group, err := unix.Getpgid(int(pid))
	if err == nil || errors.Is(err, unix.ESRCH) {
		return int32(group), err == nil
	}
	dir, err := h.Proc.Dir(pid)
	if err != nil {
		return 0, false
	}
	defer dir.Close()
	var stat proc.Stat
	err = dir.Stat(&stat)
	return stat.Pgrp, err == nil
}

// sendMember takes a handle on one member, sees that it still is one, and judges it
// like a target of its own.
func (h *SendSignal) sendMember(a *attempt, pid int32) unix.Errno {
	member := attempt{
		call: a.call, req: a.req, caller: a.caller, info: a.info, hasInfo: a.hasInfo,
		creds: a.creds, hasCreds: a.hasCreds, policy: a.policy, query: a.query, fixed: a.fixed,
		member: true, ancestry: a.ancestry,
	}
	member.req.flags = 0
	member.query.Facts = policy.Facts{}
	t := &member.target
	if err := h.openTarget(t, pid); err != nil {
		return unix.ESRCH
	}
	defer t.close(a.call.Worker())
	if !h.isMeant(a, pid) {
		return unix.ESRCH
	}
	if uint32(a.req.sig) > maxSignal {
		return unix.EINVAL
	}
	if h.memberwise(a) {
		if errno := h.judge(&member); errno != 0 {
			return errno
		}
	}
	if errno := h.checkPermissionOutside(&member); errno != 0 {
		return errno
	}
	a.call.Record.Members++
	switch {
	case h.spared(&member):
		return 0
	case h.path(a) == shim.PathForward:
		return h.forward(&member, t.fd, 0)
	}
	return h.emulate(&member, t)
}

// openTarget makes a handle on a process of ours by number.
func (h *SendSignal) openTarget(t *target, pid int32) error {
	t.pid, t.tgid = pid, pid
	if h.Features.PidfdOpen {
		fd, err := unix.PidfdOpen(int(pid), 0)
		if err != nil {
			return err
		}
		t.fd = fd
		t.hasInfo = h.Features.Info && proc.PidfdInfo(fd, &t.info) == nil
		return nil
	}
	dir, err := h.Proc.Dir(pid)
	if err != nil {
		return err
	}
	t.dir, t.fd = dir, dir.FD()
	return nil
}

// hasOurRights tells whether the kernel would judge the caller as it judges us: the
// same namespaces, and in them CAP_KILL, which decides every case.
func (h *SendSignal) hasOurRights(a *attempt) bool {
	if a.caller.nested || a.caller.labelled || h.Watch.mayBeConfined(a.caller) || !h.Self.MayKill || sys.EffectiveCaps(a.call.Tid)&(1<<unix.CAP_KILL) == 0 {
		return false
	}
	foreign, err := h.foreignUserns(a.caller)
	return err == nil && !foreign
}

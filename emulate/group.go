package emulate

import (
	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/proc"
	"github.com/pidfd-shim/pidfd-shim/policy"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// sendGroup sends to the process group whose number is the target's. A caller with the
// supervisor's own rights leaves it to the kernel; for any other each member is judged
// and sent to by itself, because the kernel would judge by the supervisor's rights. So it
// is where a rule asks about targets: through one allowed member nobody else is reached.
func (h *SendSignal) sendGroup(a *attempt) unix.Errno {
	if !a.req.byNumber() && !h.memberwise(a) && h.path(a) == shim.PathForward && h.hasOurRights(a) {
		return h.forward(a, a.target.fd, a.req.flags)
	}
	r := &a.call.Record
	r.Path = h.path(a)
	if a.target.pid == 0 && !a.target.everybody { // the leader was reaped: its number cannot be had any more
		return unix.ESRCH
	}
	var members [maxMembers]int32
	n := h.members(a, members[:])
	if n == len(members) {
		h.Log.Error("a process group is too large: the rest of it is not signalled", "tid", a.call.Tid, "members", n)
	}
	result := unix.ESRCH
	denied := false
	for i, pid := range members[:n] {
		errno := h.sendMember(a, pid)
		denied = denied || r.Denied
		result = a.target.sum(result, errno, i == 0)
	}
	r.Denied = denied && result != 0
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
const maxMembers = 4096

// members lists the processes that are meant.
func (h *SendSignal) members(a *attempt, into []int32) int {
	n := 0
	_ = h.Proc.EachPid(func(pid int32) bool {
		if h.isMeant(a, pid) {
			into[n] = pid
			n++
		}
		return n < len(into)
	})
	return n
}

// isMeant tells whether a process is in the group; of everybody, whether the caller sees it
// and it is neither the init of the caller's namespace nor the caller, nor ours.
func (h *SendSignal) isMeant(a *attempt, pid int32) bool {
	if !a.target.everybody {
		return h.inGroup(pid, a.target.pid)
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

func (h *SendSignal) inGroup(pid, group int32) bool {
	dir, err := h.Proc.Dir(pid)
	if err != nil {
		return false
	}
	defer dir.Close()
	var stat proc.Stat
	return dir.Stat(&stat) == nil && stat.Pgrp == group
}

// sendMember takes a handle on one member, sees that it still is one, and judges it
// like a target of its own.
func (h *SendSignal) sendMember(a *attempt, pid int32) unix.Errno {
	member := attempt{
		call: a.call, req: a.req, caller: a.caller, info: a.info, hasInfo: a.hasInfo,
		creds: a.creds, hasCreds: a.hasCreds, policy: a.policy, query: a.query, fixed: a.fixed, member: true,
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
	if a.caller.nested || a.caller.labelled || h.Watch.mayBeConfined() || !h.Self.MayKill || effectiveCaps(a.call.Tid)&(1<<unix.CAP_KILL) == 0 {
		return false
	}
	foreign, err := h.foreignUserns(a.caller)
	return err == nil && !foreign
}

package emulate

import (
	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/proc"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// sendGroup sends to the process group whose number is the target's. A caller with the
// supervisor's own rights leaves it to the kernel; for any other each member is judged
// and sent to by itself, because the kernel would judge by the supervisor's rights.
func (h *SendSignal) sendGroup(a *attempt) unix.Errno {
	if h.path(a) == shim.PathForward && h.hasOurRights(a) {
		return h.forward(a, a.target.fd, a.req.flags)
	}
	a.call.Record.Path = h.path(a)
	if a.target.pid == 0 { // the leader was reaped: its number cannot be had any more
		return unix.ESRCH
	}
	var members [maxMembers]int32
	n := h.members(a.target.pid, members[:])
	last, succeeded := unix.ESRCH, false
	for _, pid := range members[:n] {
		last = h.sendMember(a, pid)
		succeeded = succeeded || last == 0
	}
	if succeeded {
		return 0
	}
	return last
}

// maxMembers bounds what one call can cost.
const maxMembers = 4096

// members lists the processes whose group has the given number.
func (h *SendSignal) members(group int32, into []int32) int {
	n := 0
	_ = h.Proc.EachPid(func(pid int32) bool {
		if h.inGroup(pid, group) {
			into[n] = pid
			n++
		}
		return n < len(into)
	})
	return n
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
		creds: a.creds, hasCreds: a.hasCreds,
	}
	member.req.flags = 0
	t := &member.target
	if err := h.openTarget(t, pid); err != nil {
		return unix.ESRCH
	}
	defer t.close(a.call.Worker())
	if !h.inGroup(pid, a.target.pid) {
		return unix.ESRCH
	}
	if uint32(a.req.sig) > maxSignal {
		return unix.EINVAL
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

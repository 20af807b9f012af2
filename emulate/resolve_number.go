package emulate

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/internal/proc"
	"github.com/pidfd-shim/pidfd-shim/internal/sys"
)

// resolveNumber makes a handle of the number that one of the older calls names its
// target by. The kernel looks it up at some moment of the call; this is that moment, and
// the handle stays with whom it meant then.
//
// The order of the checks is that of kernel/signal.c, 6.18: rt_sigqueueinfo and
// rt_tgsigqueueinfo read the siginfo first; the calls for threads then refuse numbers
// below 1; a number without a task is ESRCH after si_code has been judged.
func (h *SendSignal) resolveNumber(a *attempt) (unix.Errno, error) {
	if a.req.given {
		errno, err := h.readSiginfo(a)
		if errno != 0 || err != nil {
			return errno, err
		}
	}
	r := &a.req
	switch r.what {
	case arch.Tgkill, arch.RtTgsigqueueinfo:
		if r.tgid <= 0 || r.pid <= 0 {
			return unix.EINVAL, nil
		}
	case arch.Tkill:
		if r.pid <= 0 {
			return unix.EINVAL, nil
		}
	}
	if a.group() {
		return h.resolveGroup(a)
	}
	err := h.openNumbered(a)
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.ENOENT) {
		a.target.reaped = true
		return 0, nil
	}
	return 0, err
}

// openNumbered opens the task and sees that the handle is of the one that has the number
// in the caller's namespace.
func (h *SendSignal) openNumbered(a *attempt) error {
	pid, err := h.numberHere(a.caller, a.req.pid)
	if err != nil {
		return err
	}
	if done, err := h.openAtOnce(a, pid); done {
		return err
	}
	t := &a.target
	var status proc.Status
	if err := h.statusOf(pid, &status); err != nil {
		return err
	}
	thread := a.req.flags&flagThread != 0
	if thread && a.req.tgid != 0 {
		tgid, err := h.numberHere(a.caller, a.req.tgid)
		if err != nil {
			return err
		}
		if tgid != status.Tgid {
			return unix.ESRCH
		}
	}
	t.pid, t.tgid = pid, status.Tgid
	a.call.Record.TargetPid = pid
	if err := h.openTask(t, thread); err != nil {
		return err
	}
	again, err := h.numberHere(a.caller, a.req.pid)
	if err != nil || again != pid || !h.owns(t) {
		t.close(a.call.Worker())
		t.fd, t.dir = 0, nil
		return unix.ESRCH
	}
	return nil
}

// openAtOnce does it by the handle alone, which is of whoever has the number at that moment
// (6.13). False: another way is needed.
func (h *SendSignal) openAtOnce(a *attempt, pid int32) (done bool, err error) {
	thread, flags := a.req.flags&flagThread != 0, 0
	if thread {
		flags = unix.PIDFD_THREAD
	}
	if a.caller.nested || !h.Features.PidfdOpen || !h.Features.Info || thread && !h.Features.ThreadPidfd {
		return false, nil
	}
	t := &a.target
	fd, err := unix.PidfdOpen(int(pid), flags)
	if errors.Is(err, unix.ESRCH) {
		return true, err
	}
	if err != nil { // kill(2) takes the number of any thread
		return false, nil
	}
	if err = proc.PidfdInfo(fd, &t.info); err == nil && thread && a.req.tgid != 0 && a.req.tgid != t.info.Tgid {
		err = unix.ESRCH
	}
	if err != nil {
		sys.Close(fd)
		return true, err
	}
	t.fd, t.known, t.hasInfo, t.thread, t.pid, t.tgid = fd, true, true, thread, t.info.Pid, t.info.Tgid
	a.call.Record.TargetPid = pid
	return true, nil
}

// openTask opens what stays with the task: a pidfd where the kernel has one for it.
func (h *SendSignal) openTask(t *target, thread bool) error {
	switch {
	case h.Features.PidfdOpen && !thread && t.pid == t.tgid:
		fd, err := unix.PidfdOpen(int(t.pid), 0)
		if err != nil {
			return err
		}
		t.fd, t.known = fd, true
	case h.Features.ThreadPidfd && thread:
		fd, err := unix.PidfdOpen(int(t.pid), unix.PIDFD_THREAD)
		if err != nil {
			return err
		}
		t.fd, t.thread, t.known = fd, true, true
	default: // /proc/TID, which signals the process of that thread
		fd, err := h.Proc.OpenDir(t.pid)
		if err != nil {
			return err
		}
		t.dir, t.fd, t.thread = h.Proc.DirFromFD(fd), fd, thread
		return nil
	}
	t.hasInfo = h.Features.Info && proc.PidfdInfo(t.fd, &t.info) == nil
	return nil
}

// numberHere translates a number of the caller's pid namespace into the supervisor's.
func (h *SendSignal) numberHere(c *caller, number int32) (int32, error) {
	switch {
	case number <= 0:
		return 0, unix.ESRCH
	case !c.nested:
		return number, nil
	case h.Features.NSTranslate:
		return proc.PidFromPidns(c.pidns, number)
	}
	return h.searchNumber(c, number)
}

// searchNumber looks for the number among all tasks whose list of numbers is deep
// enough (before 6.11).
func (h *SendSignal) searchNumber(c *caller, number int32) (int32, error) {
	ancestor, err := proc.NSOf(c.pidns)
	if err != nil {
		return 0, err
	}
	found := int32(0)
	err = h.Proc.EachTask(func(tid int32) bool {
		var status proc.Status
		if h.statusOf(tid, &status) == nil && c.depth > 0 && status.NSpids >= c.depth && status.NSpid[c.depth-1] == number &&
			h.livesBelow(tid, ancestor) {
			found = tid
		}
		return found == 0
	})
	if err == nil && found == 0 {
		err = unix.ESRCH
	}
	return found, err
}

func (h *SendSignal) livesBelow(tid int32, ancestor proc.NSID) bool {
	dir, err := h.Proc.Dir(tid)
	if err != nil {
		return false
	}
	defer dir.Close()
	ns, err := dir.OpenNS("pid")
	if err != nil {
		return false
	}
	below, err := belowOrSame(ns, ancestor)
	return err == nil && below
}

// resolveGroup finds which processes kill(2) means by 0, -1 or a negative number: those
// of a group, as the supervisor numbers it, or all.
func (h *SendSignal) resolveGroup(a *attempt) (unix.Errno, error) {
	t := &a.target
	switch {
	case a.req.pid == -1:
		t.everybody = true
	case a.req.pid == 0:
		var stat proc.Stat
		if err := a.caller.dir.Stat(&stat); err != nil {
			return 0, fmt.Errorf("read the process group of thread %d: %w", a.call.Tid, err)
		}
		t.pid = stat.Pgrp
	case a.req.pid == -1<<31: // has no positive number: kernel/signal.c, kill_something_info
		t.reaped = true
		return unix.ESRCH, nil
	case a.caller.nested:
		var err error
		t.pid, err = h.groupHere(a, -a.req.pid)
		return 0, err
	default:
		t.pid = -a.req.pid
	}
	return 0, nil
}

// groupHere translates a group's number: by its leader, who has the same, or where that was
// reaped by the list of numbers of a member. 0: it has no member.
func (h *SendSignal) groupHere(a *attempt, group int32) (found int32, err error) {
	c := a.caller
	if pid, err := h.numberHere(c, group); err == nil && h.Features.NSTranslate {
		return pid, nil
	}
	looks, seen := 0, map[int32]bool{}
	listed := h.Proc.EachPid(func(pid int32) bool {
		if err = h.spend(a, &looks, quickLooks); err != nil {
			return false
		}
		if pgrp, known := h.groupOf(pid); known && seen[pgrp] {
			return true
		} else if known {
			seen[pgrp] = true
		}
		var status proc.Status
		if h.statusOf(pid, &status) != nil || c.depth == 0 || status.NSpgids < c.depth || status.NSpgid[c.depth-1] != group {
			return true
		}
		if h.seenFrom(c, pid) {
			found = status.NSpgid[0]
		}
		return found == 0
	})
	return found, errors.Join(err, listed)
}

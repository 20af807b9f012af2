package emulate

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/proc"
)

// identifyDir finds whom a procfs directory names. The directory may belong to any
// procfs mount, whose numbers are those of its own pid namespace: a "1" read there is
// not our 1. Its link text is never looked at, only files reached through the very
// descriptor, which dies with the process.
func (h *SendSignal) identifyDir(a *attempt) error {
	t := &a.target
	t.dir = h.Proc.DirFromFD(t.fd)
	var status proc.Status
	switch err := t.dir.Status(&status); {
	case errors.Is(err, unix.ESRCH), errors.Is(err, unix.ENOENT):
		t.reaped = true
		return nil
	case err != nil:
		return fmt.Errorf("read a /proc directory: %w", err)
	}
	return h.numberDir(t, &status)
}

// dirKind tells a /proc/PID directory (0, or ESRCH if its process was reaped) from
// every other of procfs (EBADF), where the kernel cannot be asked: such a directory
// alone has both a status and a task, and a dead one has nothing any more.
func (h *SendSignal) dirKind(t *target) unix.Errno {
	dir := h.Proc.DirFromFD(t.fd)
	var status proc.Status
	switch err := dir.Status(&status); {
	case err == nil && dir.Has("task"):
		return 0
	case errors.Is(err, unix.ESRCH):
		return unix.ESRCH
	}
	return unix.EBADF
}

// numberDir translates the target's number in its own pid namespace, which is the
// same whichever procfs is read, into the supervisor's.
func (h *SendSignal) numberDir(t *target, status *proc.Status) error {
	own := status.Pid
	if status.NSpids > 0 {
		own = status.NSpid[status.NSpids-1]
	}
	pid, err := h.translateNumber(t, own, status.Pid != status.Tgid)
	switch {
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		return h.numberUnseen(t, status)
	case errors.Is(err, unix.ESRCH):
		return h.invisibleOrDead(t)
	case err != nil && t.dir.Status(&proc.Status{}) != nil:
		t.reaped = true // links of a dead process fail with EACCES (fs/proc/namespaces.c, proc_ns_readlink)
		return nil
	case err != nil:
		return fmt.Errorf("number the process of a /proc directory: %w", err)
	}
	// The number was right if the process still lives now: a number is not given away
	// before its owner is reaped.
	var ours, again proc.Status
	if err := h.statusOf(pid, &ours); err != nil || t.dir.Status(&again) != nil {
		t.reaped = true
		return nil
	}
	t.pid, t.tgid = pid, ours.Tgid
	return nil
}

// numberUnseen is for a process whose namespaces we may not look at. If its directory is
// of a procfs of our own pid namespace the number is ours, which the same start time and
// the same list of numbers under it show.
func (h *SendSignal) numberUnseen(t *target, status *proc.Status) error {
	ours, err := h.Proc.Dir(status.Pid)
	if err != nil {
		return h.invisibleOrDead(t)
	}
	defer ours.Close()
	var same proc.Status
	var start, sameStart proc.Stat
	if t.dir.Stat(&start) != nil || ours.Stat(&sameStart) != nil || ours.Status(&same) != nil ||
		start.Start != sameStart.Start || status.NSpid != same.NSpid || status.NSpids != same.NSpids {
		return h.invisibleOrDead(t)
	}
	t.pid, t.tgid = status.Pid, same.Tgid
	return nil
}

func (h *SendSignal) invisibleOrDead(t *target) error {
	var again proc.Status
	if t.dir.Status(&again) != nil {
		t.reaped = true
	} else {
		t.outside = true
	}
	return nil
}

// translateNumber is NS_GET_PID_FROM_PIDNS on the target's namespace; before 6.11 the
// process, or thread, with that number in that namespace is looked for in our procfs.
func (h *SendSignal) translateNumber(t *target, own int32, thread bool) (int32, error) {
	ns, err := t.dir.NS("pid")
	if err != nil {
		return 0, err
	}
	if ns == h.Self.Pidns {
		return own, nil
	}
	if !h.Features.NSTranslate {
		return h.findNumber(ns, own, thread)
	}
	fd, err := t.dir.OpenNS("pid")
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	return proc.PidFromPidns(fd, own)
}

// findNumber looks through every process that the supervisor sees, or every thread.
func (h *SendSignal) findNumber(ns proc.NSID, own int32, thread bool) (int32, error) {
	each := h.Proc.EachPid
	if thread {
		each = h.Proc.EachTask
	}
	found := int32(0)
	err := each(func(pid int32) bool {
		dir, err := h.Proc.Dir(pid)
		if err != nil {
			return true
		}
		defer dir.Close()
		var status proc.Status
		if dir.Status(&status) != nil || status.NSpids == 0 || status.NSpid[status.NSpids-1] != own {
			return true
		}
		if theirs, err := dir.NS("pid"); err != nil || theirs != ns {
			return true
		}
		found = pid
		return false
	})
	if err == nil && found == 0 {
		err = unix.ESRCH
	}
	return found, err
}

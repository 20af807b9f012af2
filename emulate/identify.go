package emulate

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/proc"
	"github.com/pidfd-shim/pidfd-shim/internal/task"
)

// identifyPidfd finds the number of a pidfd by its fdinfo (before 6.13).
func (t *target) identifyPidfd(ts *task.View) error {
	fdinfo, err := ts.Proc.FdInfoSelf(t.fd)
	if err != nil {
		return fmt.Errorf("read fdinfo of our own descriptor: %w", err)
	}
	return t.identifyByFdinfo(ts, fdinfo)
}

// identifyByFdinfo reads a pidfd's "Pid:", which is -1 for a reaped task and 0 for one
// that our procfs cannot number.
func (t *target) identifyByFdinfo(ts *task.View, fdinfo proc.FdInfo) error {
	t.thread = fdinfo.Flags&unix.O_EXCL != 0
	switch {
	case fdinfo.Pid < 0:
		t.reaped = true
		return nil
	case fdinfo.Pid == 0:
		t.outside = true
		return nil
	}
	t.pid, t.tgid = fdinfo.Pid, fdinfo.Pid
	if !t.thread {
		return nil
	}
	var status proc.Status
	err := ts.Status(t.pid, &status)
	switch {
	case errors.Is(err, unix.ESRCH):
		t.reaped = true
		return nil
	case err != nil:
		return err
	}
	t.tgid = status.Tgid
	return nil
}

// dirKind tells a /proc/PID directory (0, or ESRCH if its process was reaped) from
// every other of procfs (EBADF), where the kernel cannot be asked: such a directory
// alone has both a status and a task, and a dead one has nothing any more.
func (t *target) dirKind(ts *task.View) unix.Errno {
	dir := ts.Proc.DirFromFD(t.fd)
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
func (t *target) numberDir(ts *task.View, status *proc.Status) error {
	own := status.Pid
	if status.NSpids > 0 {
		own = status.NSpid[status.NSpids-1]
	}
	pid, err := t.translateNumber(ts, own, status.Pid != status.Tgid)
	switch {
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EPERM):
		return t.numberUnseen(ts, status)
	case errors.Is(err, unix.ESRCH):
		return t.invisibleOrDead()
	case err != nil && t.dir.Status(&proc.Status{}) != nil:
		t.reaped = true // links of a dead process fail with EACCES (fs/proc/namespaces.c, proc_ns_readlink)
		return nil
	case err != nil:
		return fmt.Errorf("number the process of a /proc directory: %w", err)
	}
	// The number was right if the process still lives now: a number is not given away
	// before its owner is reaped.
	var ours, again proc.Status
	if err := ts.Status(pid, &ours); err != nil || t.dir.Status(&again) != nil {
		t.reaped = true
		return nil
	}
	t.pid, t.tgid = pid, ours.Tgid
	return nil
}

// numberUnseen is for a process whose namespaces we may not look at. If its directory is
// of a procfs of our own pid namespace the number is ours, which the same start time and
// the same list of numbers under it show.
func (t *target) numberUnseen(ts *task.View, status *proc.Status) error {
	ours, err := ts.Proc.Dir(status.Pid)
	if err != nil {
		return t.invisibleOrDead()
	}
	defer ours.Close()
	var same proc.Status
	var start, sameStart proc.Stat
	if t.dir.Stat(&start) != nil || ours.Stat(&sameStart) != nil || ours.Status(&same) != nil ||
		start.Start != sameStart.Start || status.NSpid != same.NSpid || status.NSpids != same.NSpids {
		return t.invisibleOrDead()
	}
	t.pid, t.tgid = status.Pid, same.Tgid
	return nil
}

func (t *target) invisibleOrDead() error {
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
func (t *target) translateNumber(ts *task.View, own int32, thread bool) (int32, error) {
	ns, err := t.dir.NS("pid")
	if err != nil {
		return 0, err
	}
	if ns == ts.Self.Pidns {
		return own, nil
	}
	if !ts.Features.NSTranslate {
		return findNumber(ts, ns, own, thread)
	}
	fd, err := t.dir.OpenNS("pid")
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	return proc.PidFromPidns(fd, own)
}

// findNumber looks through every process that the supervisor sees, or every thread.
func findNumber(ts *task.View, ns proc.NSID, own int32, thread bool) (int32, error) {
	each := ts.Proc.EachPid
	if thread {
		each = ts.Proc.EachTask
	}
	found := int32(0)
	err := each(func(pid int32) bool {
		dir, err := ts.Proc.Dir(pid)
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

// Package task says who is who: tasks by number, by handle and by namespace, as they are seen
// from where we are. It decides nothing, and never sends.
//
// Read view.go first.
package task

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/kernel"
	"github.com/pidfd-shim/pidfd-shim/internal/proc"
)

// View is how tasks are looked at: through our procfs, with what the kernel has, from the
// namespaces that we are in.
type View struct {
	Proc     *proc.FS
	Features kernel.Features
	Self     Self
}

// Status reads a status by number. Precondition: the caller verifies afterwards,
// through a handle, that the number still means the same task.
func (v *View) Status(pid int32, into *proc.Status) error {
	dir, err := v.Proc.Dir(pid)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Status(into)
}

// Group is a process's group, without procfs text unless a security module forbids to
// ask (security_task_getpgid).
func (v *View) Group(pid int32) (int32, bool) {
	group, err := unix.Getpgid(int(pid))
	if err == nil || errors.Is(err, unix.ESRCH) {
		return int32(group), err == nil
	}
	dir, err := v.Proc.Dir(pid)
	if err != nil {
		return 0, false
	}
	defer dir.Close()
	var stat proc.Stat
	err = dir.Stat(&stat)
	return stat.Pgrp, err == nil
}

// VisibleFrom reports whether process pid of ours lives in the given pid namespace or
// below it.
func (v *View) VisibleFrom(pidns int, pid int32) (bool, error) {
	if v.Features.NSTranslate {
		_, err := proc.PidInPidns(pidns, pid)
		if err == nil {
			return true, nil
		}
		if !errors.Is(err, unix.ESRCH) {
			return false, err
		}
	}
	ancestor, err := proc.NSOf(pidns)
	if err != nil {
		return false, err
	}
	dir, err := v.Proc.Dir(pid)
	if err != nil {
		return false, err
	}
	defer dir.Close()
	ns, err := dir.OpenNS("pid")
	if err != nil {
		return false, err
	}
	return isBelow(ns, ancestor)
}

// LivesBelow reports whether a task lives in a pid namespace or below it.
func (v *View) LivesBelow(tid int32, ancestor proc.NSID) bool {
	dir, err := v.Proc.Dir(tid)
	if err != nil {
		return false
	}
	defer dir.Close()
	ns, err := dir.OpenNS("pid")
	if err != nil {
		return false
	}
	below, err := isBelow(ns, ancestor)
	return err == nil && below
}

// InUserns reports whether a process lives in our user namespace.
func (v *View) InUserns(pid int32) bool {
	dir, err := v.Proc.Dir(pid)
	if err != nil {
		return false
	}
	defer dir.Close()
	ns, err := dir.NS("user")
	return err == nil && ns == v.Self.Userns
}

// isBelow walks up from ns, which it closes.
func isBelow(ns int, ancestor proc.NSID) (bool, error) {
	for {
		id, err := proc.NSOf(ns)
		if err != nil || id == ancestor {
			closeFD(ns)
			return err == nil, err
		}
		parent, err := proc.NSParent(ns)
		closeFD(ns)
		if errors.Is(err, unix.EPERM) { // the parent is above our own
			return false, nil
		}
		if err != nil {
			return false, err
		}
		ns = parent
	}
}

// Outermost climbs from a task's pid namespace to the last one below own; a task that
// lives in own itself has no other.
func Outermost(dir *proc.Dir, own proc.NSID) (int, error) {
	ns, err := dir.OpenNS("pid")
	if err != nil {
		return -1, err
	}
	for {
		id, err := proc.NSOf(ns)
		if err != nil {
			closeFD(ns)
			return -1, err
		}
		if id == own {
			return ns, nil
		}
		parent, err := proc.NSParent(ns)
		if err != nil {
			closeFD(ns)
			return -1, err
		}
		above, err := proc.NSOf(parent)
		if err != nil || above == own {
			closeFD(parent)
			if err != nil {
				closeFD(ns)
				return -1, err
			}
			return ns, nil
		}
		closeFD(ns)
		ns = parent
	}
}

func closeFD(fd int) {
	if fd >= 0 {
		_ = unix.Close(fd)
	}
}

package emulate

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/kernel"
	"github.com/pidfd-shim/pidfd-shim/internal/proc"
	"github.com/pidfd-shim/pidfd-shim/internal/sys"
)

// tasks is how tasks are looked at: through our procfs, with what the kernel has, from the
// namespaces that we are in.
type tasks struct {
	proc     *proc.FS
	features kernel.Features
	self     Self
}

// Self is what the supervisor has to know of itself.
type Self struct {
	Pid    int32
	Pidns  proc.NSID
	Userns proc.NSID

	// WholeUserns is true where every uid has a number of its own here. Elsewhere two
	// different users can both show as the overflow uid.
	WholeUserns bool

	MayKill bool   // CAP_KILL is effective
	Label   string // see labelOf
}

// overflowUID is what a uid without a number in this user namespace is shown as.
const overflowUID = 65534

// ReadSelf gathers it once, before the command starts.
func ReadSelf(fs *proc.FS) (Self, error) {
	s := Self{Pid: int32(unix.Getpid())}
	dir, err := fs.Dir(s.Pid)
	if err != nil {
		return s, fmt.Errorf("open our own /proc directory: %w", err)
	}
	defer dir.Close()
	if s.Pidns, err = dir.NS("pid"); err != nil {
		return s, fmt.Errorf("read our pid namespace: %w", err)
	}
	if s.Userns, err = dir.NS("user"); err != nil {
		return s, fmt.Errorf("read our user namespace: %w", err)
	}
	s.MayKill = sys.EffectiveCaps(s.Pid)&(1<<unix.CAP_KILL) != 0
	s.Label = labelOf(dir)
	text, err := dir.ReadText("uid_map")
	if err != nil {
		return s, fmt.Errorf("read our uid_map: %w", err)
	}
	var inside, outside, count uint32
	_, _ = fmt.Sscan(text, &inside, &outside, &count)
	s.WholeUserns = inside == 0 && count == 1<<32-1
	return s, nil
}

// labelOf is what the security module calls a task; empty where there is none.
func labelOf(dir *proc.Dir) string {
	text, err := dir.ReadText("attr/current")
	if err != nil {
		return ""
	}
	return text
}

func (s Self) sameUID(a, b uint32) bool {
	return a == b && (s.WholeUserns || a != overflowUID)
}

// statusOf reads a status by number. Precondition: the caller verifies afterwards,
// through a handle, that the number still means the same task.
func (ts *tasks) statusOf(pid int32, into *proc.Status) error {
	dir, err := ts.proc.Dir(pid)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Status(into)
}

// groupOf is a process's group, without procfs text unless a security module forbids to
// ask (security_task_getpgid).
func (ts *tasks) groupOf(pid int32) (int32, bool) {
	group, err := unix.Getpgid(int(pid))
	if err == nil || errors.Is(err, unix.ESRCH) {
		return int32(group), err == nil
	}
	dir, err := ts.proc.Dir(pid)
	if err != nil {
		return 0, false
	}
	defer dir.Close()
	var stat proc.Stat
	err = dir.Stat(&stat)
	return stat.Pgrp, err == nil
}

// visibleFrom reports whether process pid of ours lives in the given pid namespace or
// below it.
func (ts *tasks) visibleFrom(pidns int, pid int32) (bool, error) {
	if ts.features.NSTranslate {
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
	dir, err := ts.proc.Dir(pid)
	if err != nil {
		return false, err
	}
	defer dir.Close()
	ns, err := dir.OpenNS("pid")
	if err != nil {
		return false, err
	}
	return belowOrSame(ns, ancestor)
}

func (ts *tasks) livesBelow(tid int32, ancestor proc.NSID) bool {
	dir, err := ts.proc.Dir(tid)
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

func (ts *tasks) inOurUserns(pid int32) bool {
	dir, err := ts.proc.Dir(pid)
	if err != nil {
		return false
	}
	defer dir.Close()
	ns, err := dir.NS("user")
	return err == nil && ns == ts.self.Userns
}

// belowOrSame walks up from ns, which it closes.
func belowOrSame(ns int, ancestor proc.NSID) (bool, error) {
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

// numberHere translates a number of the caller's pid namespace into the supervisor's.
func (c *caller) pidFromNS(number int32) (int32, error) {
	switch {
	case number <= 0:
		return 0, unix.ESRCH
	case !c.nested:
		return number, nil
	case c.tasks.features.NSTranslate:
		return proc.PidFromPidns(c.pidns, number)
	}
	return c.searchPid(number)
}

// searchNumber looks for the number among all tasks whose list of numbers is deep
// enough (before 6.11).
func (c *caller) searchPid(number int32) (int32, error) {
	ancestor, err := proc.NSOf(c.pidns)
	if err != nil {
		return 0, err
	}
	found := int32(0)
	err = c.tasks.proc.EachTask(func(tid int32) bool {
		var status proc.Status
		if c.tasks.statusOf(tid, &status) == nil && c.depth > 0 && status.NSpids >= c.depth && status.NSpid[c.depth-1] == number &&
			c.tasks.livesBelow(tid, ancestor) {
			found = tid
		}
		return found == 0
	})
	if err == nil && found == 0 {
		err = unix.ESRCH
	}
	return found, err
}

// numberFor translates a number of the supervisor's pid namespace into the caller's.
func (c *caller) pidInNS(pid int32) (int32, bool) {
	if pid <= 0 {
		return 0, false
	}
	if !c.nested {
		return pid, true
	}
	if c.tasks.features.NSTranslate {
		number, err := proc.PidInPidns(c.pidns, pid)
		return number, err == nil
	}
	// NSpid lists the numbers from the supervisor's namespace inwards.
	var status proc.Status
	if c.tasks.statusOf(pid, &status) != nil || status.NSpids < c.depth || c.depth == 0 {
		return 0, false
	}
	return status.NSpid[c.depth-1], true
}

func (c *caller) sees(pid int32) bool {
	below, err := c.tasks.visibleFrom(c.pidns, pid)
	return err == nil && below
}

// invalidUID is nobody's: the kernel maps it to the overflow uid.
const invalidUID = ^uint32(0)

// uidHere translates a uid of the caller's user namespace into the supervisor's, or
// to invalidUID.
func uidHere(c *caller, uid uint32) uint32 {
	text, err := c.dir.ReadText("uid_map")
	if err != nil {
		return invalidUID
	}
	return mappedUID(text, uid)
}

// mappedUID looks a uid up in the text of a uid_map: lines of inside, outside, count.
func mappedUID(text string, uid uint32) uint32 {
	const invalidUID = ^uint32(0)
	lines := strings.NewReader(text)
	for {
		var inside, outside, count uint64
		if _, err := fmt.Fscan(lines, &inside, &outside, &count); err != nil {
			return invalidUID
		}
		if uint64(uid) >= inside && uint64(uid)-inside < count {
			return uint32(outside + uint64(uid) - inside)
		}
	}
}

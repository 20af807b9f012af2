package emulate

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/proc"
	"github.com/pidfd-shim/pidfd-shim/internal/sys"
)

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

func (s Self) sameUID(a, b uint32) bool {
	return a == b && (s.WholeUserns || a != overflowUID)
}

// checkAncestry is check 6: the target's pid namespace is the caller's or below it.
// Reaped targets have none to ask for from here; the kernel still knows.
func (h *SendSignal) checkAncestry(a *attempt) (unix.Errno, error) {
	t := &a.target
	switch {
	case t.self:
		return 0, nil
	case t.outside:
		return unix.EINVAL, nil
	case a.caller.nested && t.reaped && t.within != nil:
		if own, err := proc.NSOf(a.caller.pidns); err != nil || !slices.Contains(t.within, own) {
			return unix.EINVAL, err
		}
		return 0, nil
	case !a.caller.nested, t.pid == 0:
		return 0, nil
	}
	below, err := h.visibleFrom(a.caller.pidns, t.pid)
	switch {
	case errors.Is(err, unix.ESRCH), errors.Is(err, unix.ENOENT):
		return 0, nil // died meanwhile: check 11 says so
	case err != nil:
		return 0, fmt.Errorf("compare pid namespaces: %w", err)
	case !below:
		return unix.EINVAL, nil
	}
	return 0, nil
}

// visibleFrom tells whether process pid of ours lives in the given pid namespace or
// below it.
func (h *SendSignal) visibleFrom(pidns int, pid int32) (bool, error) {
	if h.Features.NSTranslate {
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
	dir, err := h.Proc.Dir(pid)
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

// foreignUserns tells whether the calling thread is in another user namespace than
// the supervisor: its si_uid would then be read with the wrong map.
func (h *SendSignal) foreignUserns(c *caller) (bool, error) {
	if h.Watch != nil && !h.Watch.Partial {
		return c.foreign, nil
	}
	ns, err := c.dir.NS("user")
	return ns != h.Self.Userns, err
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

// initOfOwn tells whether the target is the init of the caller's own pid namespace: it
// is spared what its namespace's members send, but not what an ancestor sends.
func (h *SendSignal) initOfOwn(a *attempt) bool {
	if !a.caller.nested || a.target.tgid == 0 {
		return false
	}
	var status proc.Status
	if h.statusOf(a.target.tgid, &status) != nil || status.NSpids == 0 || status.NSpid[status.NSpids-1] != 1 {
		return false
	}
	ns, err := proc.NSOf(a.caller.pidns)
	if err != nil {
		return false
	}
	dir, err := h.Proc.Dir(a.target.tgid)
	if err != nil {
		return false
	}
	defer dir.Close()
	theirs, err := dir.NS("pid")
	return err == nil && theirs == ns
}

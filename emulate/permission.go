package emulate

import (
	"errors"
	"log/slog"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/proc"
	"github.com/pidfd-shim/pidfd-shim/internal/sys"
	"github.com/pidfd-shim/pidfd-shim/internal/task"
)

// rights are what the kernel lets a caller do, beside what it lets us do.
type rights struct {
	tasks *task.View
	watch *Watch
	log   *slog.Logger
}

// check is check 13, of what is sent from outside the caller. A root supervisor lends
// nothing: the rule is applied with the calling thread's ids as they are now.
func (r *rights) check(a *attempt) unix.Errno {
	t := &a.target
	if t.tgid == a.caller.tgid {
		return 0
	}
	if a.caller.labelled || r.watch.mayBeConfined(a.caller) { // its security module would be passed by
		return unix.EPERM
	}
	to, err := t.creds(r.tasks)
	if err == nil {
		err = a.callerCreds(r.tasks)
	}
	ok := false
	if err == nil {
		ok, err = permitted(r.tasks, a, &to)
	}
	switch {
	case errors.Is(err, unix.ESRCH), errors.Is(err, unix.ENOENT):
		return unix.ESRCH
	case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE):
		return unix.EMFILE // see isShort
	case err != nil:
		r.log.Error("cannot judge a call: it gets ENOSYS", "tid", a.call.Tid, "error", err)
		return unix.ENOSYS
	case !ok:
		return unix.EPERM
	}
	return 0
}

// permitted is the kernel's rule (kernel/signal.c, check_kill_permission): the ids, else
// CAP_KILL in the target's user namespace, else SIGCONT within the session. What costs
// text from procfs is asked only if the ids do not decide.
func permitted(ts *task.View, a *attempt, to *creds) (bool, error) {
	if mayByIDs(&ts.Self, &a.creds, to) {
		return true, nil
	}
	ok, err := a.caller.mayKill(a.target.pid)
	if ok || err != nil || unix.Signal(a.req.sig) != unix.SIGCONT {
		return ok, err
	}
	return a.caller.sameSession(a.target.pid)
}

// areOurs reports whether the kernel would judge the caller as it judges us: the
// same namespaces, and in them CAP_KILL, which decides every case.
func (r *rights) areOurs(a *attempt) bool {
	if a.caller.nested || a.caller.labelled || r.watch.mayBeConfined(a.caller) || !r.tasks.Self.MayKill || sys.EffectiveCaps(a.call.Tid)&(1<<unix.CAP_KILL) == 0 {
		return false
	}
	foreign, err := r.isForeign(a.caller)
	return err == nil && !foreign
}

// areSame reports whether the kernel would let the caller send as it lets us.
func (r *rights) areSame(a *attempt) bool {
	if a.caller.labelled || r.watch.mayBeConfined(a.caller) {
		return false
	}
	if foreign, err := r.isForeign(a.caller); foreign || err != nil {
		return false
	}
	to, err := a.target.creds(r.tasks)
	if err != nil || a.callerCreds(r.tasks) != nil {
		return false
	}
	if mayByIDs(&r.tasks.Self, &a.creds, &to) {
		us := creds{tgid: -1, ruid: uint32(unix.Getuid()), euid: uint32(unix.Geteuid())}
		return r.tasks.Self.MayKill && r.tasks.Self.WholeUserns || mayByIDs(&r.tasks.Self, &us, &to)
	}
	return r.areOurs(a)
}

// isForeign reports whether the calling thread is in another user namespace than
// the supervisor: its si_uid would then be read with the wrong map.
func (r *rights) isForeign(c *caller) (bool, error) {
	if r.watch != nil && !r.watch.Partial {
		return c.foreign, nil
	}
	ns, err := c.dir.NS("user")
	return ns != r.tasks.Self.Userns, err
}

// mayByIDs is what the ids alone decide of the kernel's rule (kernel/signal.c,
// kill_ok_by_cred, 6.18): the same thread group, or the sender's effective or real uid
// is the target's saved or real one. The target's effective and the sender's saved uid
// play no part.
func mayByIDs(s *task.Self, from, to *creds) bool {
	return from.tgid == to.tgid ||
		s.SameUID(from.euid, to.suid) || s.SameUID(from.euid, to.ruid) ||
		s.SameUID(from.ruid, to.suid) || s.SameUID(from.ruid, to.ruid)
}

func (c *caller) sameSession(pid int32) (bool, error) {
	var from, to proc.Stat
	if err := c.dir.Stat(&from); err != nil {
		return false, err
	}
	dir, err := c.tasks.Proc.Dir(pid)
	if err != nil {
		return false, err
	}
	defer dir.Close()
	if err := dir.Stat(&to); err != nil {
		return false, err
	}
	return from.Session == to.Session, nil
}

// mayKill reports whether the caller has CAP_KILL in the target's user namespace
// (kernel/capability.c, cap_capable): the capability counts in the caller's own
// namespace and all below it, and the owner of a namespace who lives in its parent
// has every capability in it and below.
func (c *caller) mayKill(pid int32) (bool, error) {
	var status proc.Status
	if err := c.dir.Status(&status); err != nil {
		return false, err
	}
	own, err := c.dir.NS("user")
	if err != nil {
		return false, err
	}
	dir, err := c.tasks.Proc.Dir(pid)
	if err != nil {
		return false, err
	}
	defer dir.Close()
	effective := status.CapEff&(1<<unix.CAP_KILL) != 0
	ns, err := dir.OpenNS("user")
	if errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) {
		// Not ours to look at. Every namespace is the first one or below it, so there
		// the capability alone decides; owning the unseen one is not granted.
		return effective && own == c.tasks.Self.Userns && c.tasks.Self.WholeUserns, nil
	}
	if err != nil {
		return false, err
	}
	return capableIn(&c.tasks.Self, ns, own, effective, status.UID[1])
}

// capableIn walks up from the target's user namespace. It closes ns.
func capableIn(self *task.Self, ns int, own proc.NSID, effective bool, euid uint32) (bool, error) {
	for {
		id, err := proc.NSOf(ns)
		if err != nil {
			closeFD(ns)
			return false, err
		}
		if id == own {
			closeFD(ns)
			return effective, nil
		}
		owner, err := proc.NSOwnerUID(ns)
		if err != nil {
			closeFD(ns)
			return false, err
		}
		parent, err := proc.NSParent(ns)
		closeFD(ns)
		if errors.Is(err, unix.EPERM) { // above the supervisor's own: nobody inside has anything there
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if id, err := proc.NSOf(parent); err == nil && id == own && self.SameUID(owner, euid) {
			closeFD(parent)
			return true, nil
		}
		ns = parent
	}
}

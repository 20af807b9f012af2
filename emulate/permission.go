package emulate

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/proc"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// creds are the ids that the permission rule compares, as the supervisor's user
// namespace numbers them.
type creds struct {
	tgid             int32
	ruid, euid, suid uint32
	rgid             uint32 // for policies alone
}

// mayByIDs is what the ids alone decide of the kernel's rule (kernel/signal.c,
// kill_ok_by_cred, 6.18): the same thread group, or the sender's effective or real uid
// is the target's saved or real one. The target's effective and the sender's saved uid
// play no part.
func (s Self) mayByIDs(from, to *creds) bool {
	return from.tgid == to.tgid ||
		s.sameUID(from.euid, to.suid) || s.sameUID(from.euid, to.ruid) ||
		s.sameUID(from.ruid, to.suid) || s.sameUID(from.ruid, to.ruid)
}

// checkPermission is check 13. A root supervisor lends nothing: the rule is applied
// with the calling thread's ids as they are now.
func (h *SendSignal) checkPermission(a *attempt) unix.Errno {
	if a.inCaller { // there the kernel judges
		return 0
	}
	return h.checkPermissionOutside(a)
}

// checkPermissionOutside judges what is sent from outside the caller.
func (h *SendSignal) checkPermissionOutside(a *attempt) unix.Errno {
	t := &a.target
	if t.tgid == a.caller.tgid {
		return 0
	}
	if a.caller.labelled || h.Watch.mayBeConfined(a.caller) { // its security module would be passed by
		return unix.EPERM
	}
	to, err := h.targetCreds(t)
	if err == nil {
		err = h.callerCreds(a)
	}
	ok := false
	if err == nil {
		ok, err = h.permitted(a, &to)
	}
	switch {
	case errors.Is(err, unix.ESRCH), errors.Is(err, unix.ENOENT):
		return unix.ESRCH
	case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE):
		return unix.EMFILE // see isShort
	case err != nil:
		h.Log.Error("cannot judge a call: it gets ENOSYS", "tid", a.call.Tid, "error", err)
		return unix.ENOSYS
	case !ok:
		return unix.EPERM
	}
	return 0
}

// permitted is the kernel's rule (kernel/signal.c, check_kill_permission): the ids, else
// CAP_KILL in the target's user namespace, else SIGCONT within the session. What costs
// text from procfs is asked only if the ids do not decide.
func (h *SendSignal) permitted(a *attempt, to *creds) (bool, error) {
	if h.Self.mayByIDs(&a.creds, to) {
		return true, nil
	}
	ok, err := h.mayKill(a.caller, a.target.pid)
	if ok || err != nil || unix.Signal(a.req.sig) != unix.SIGCONT {
		return ok, err
	}
	return h.sameSession(a.caller, a.target.pid)
}

// callerCreds reads the ids of the calling thread: credentials are per thread.
func (h *SendSignal) callerCreds(a *attempt) error {
	c := a.caller
	if a.hasCreds {
		return nil
	}
	if h.Features.Info && h.Features.ThreadPidfd {
		var info proc.Info
		if err := proc.PidfdInfo(c.pidfd, &info); err != nil {
			return err
		}
		a.hasCreds = true
		a.creds = creds{tgid: c.tgid, ruid: info.RUID, euid: info.EUID, suid: info.SUID, rgid: info.RGID}
		a.call.Record.CallerIDs = shim.IDs{Known: true, Tgid: c.tgid, UID: info.RUID, Handle: c}
		return nil
	}
	var status proc.Status
	if err := c.dir.Status(&status); err != nil {
		return err
	}
	a.creds, a.hasCreds = credsOf(&status), true
	return nil
}

// targetCreds reads the ids of the task that the handle names: for a process its
// leader, which is whom the kernel asks too.
func (h *SendSignal) targetCreds(t *target) (creds, error) {
	if t.hasInfo {
		return creds{tgid: t.tgid, ruid: t.info.RUID, euid: t.info.EUID, suid: t.info.SUID}, nil
	}
	var status proc.Status
	if t.dir != nil {
		if err := t.dir.Status(&status); err != nil {
			return creds{}, err
		}
		c := credsOf(&status)
		c.tgid = t.tgid
		return c, nil
	}
	err := h.statusOf(t.pid, &status)
	return credsOf(&status), err
}

func credsOf(s *proc.Status) creds {
	return creds{tgid: s.Tgid, ruid: s.UID[0], euid: s.UID[1], suid: s.UID[2], rgid: s.GID[0]}
}

func (h *SendSignal) sameSession(c *caller, pid int32) (bool, error) {
	var from, to proc.Stat
	if err := c.dir.Stat(&from); err != nil {
		return false, err
	}
	dir, err := h.Proc.Dir(pid)
	if err != nil {
		return false, err
	}
	defer dir.Close()
	if err := dir.Stat(&to); err != nil {
		return false, err
	}
	return from.Session == to.Session, nil
}

// mayKill tells whether the caller has CAP_KILL in the target's user namespace
// (kernel/capability.c, cap_capable): the capability counts in the caller's own
// namespace and all below it, and the owner of a namespace who lives in its parent
// has every capability in it and below.
func (h *SendSignal) mayKill(c *caller, pid int32) (bool, error) {
	var status proc.Status
	if err := c.dir.Status(&status); err != nil {
		return false, err
	}
	own, err := c.dir.NS("user")
	if err != nil {
		return false, err
	}
	dir, err := h.Proc.Dir(pid)
	if err != nil {
		return false, err
	}
	defer dir.Close()
	effective := status.CapEff&(1<<unix.CAP_KILL) != 0
	ns, err := dir.OpenNS("user")
	if errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPERM) {
		// Not ours to look at. Every namespace is the first one or below it, so there
		// the capability alone decides; owning the unseen one is not granted.
		return effective && own == h.Self.Userns && h.Self.WholeUserns, nil
	}
	if err != nil {
		return false, err
	}
	return h.capableIn(ns, own, effective, status.UID[1])
}

// capableIn walks up from the target's user namespace. It closes ns.
func (h *SendSignal) capableIn(ns int, own proc.NSID, effective bool, euid uint32) (bool, error) {
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
		if id, err := proc.NSOf(parent); err == nil && id == own && h.Self.sameUID(owner, euid) {
			closeFD(parent)
			return true, nil
		}
		ns = parent
	}
}

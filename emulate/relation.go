package emulate

import (
	"github.com/pidfd-shim/pidfd-shim/internal/proc"
	"github.com/pidfd-shim/pidfd-shim/policy"
)

// relate finds which of the wanted relations hold between caller and target, as
// docs/POLICY.md defines them. What cannot be told goes to Unsure.
func (f *facts) relate(want policy.Relation, q *policy.Query) {
	for _, r := range [...]struct {
		relation policy.Relation
		holds    func() (bool, error)
	}{
		{policy.Self, f.isSelf},
		{policy.Child, f.isChild},
		{policy.Parent, f.isParent},
		{policy.Descendant, f.isDescendant},
		{policy.Sandbox, f.inSandbox},
		{policy.SameUID, f.sameUID},
		{policy.SameSession, func() (bool, error) { return f.h.sameSession(f.a.caller, f.a.target.tgid) }},
		{policy.SamePidns, f.samePidns},
		{policy.NestedPidns, f.nestedPidns},
		{policy.Init, f.isInit},
	} {
		if want&r.relation == 0 {
			continue
		}
		holds, err := r.holds()
		if _, cut := cutShort(err); cut {
			f.a.cut = err
		}
		switch {
		case err != nil || f.a.target.tgid <= 0:
			q.Facts.Unsure |= r.relation
		case holds:
			q.Facts.Relations |= r.relation
		}
	}
	// What was read by number was the target's only if it still has that number.
	if f.a.target.tgid <= 0 || !f.h.owns(&f.a.target) {
		q.Facts.Unsure |= want
		return
	}
	q.Facts.Known |= policy.Related
}

func (f *facts) isSelf() (bool, error) { return f.a.target.tgid == f.a.caller.tgid, nil }

func (f *facts) isChild() (bool, error) {
	parent, err := f.h.parentOf(f.a.target.tgid)
	return parent == f.a.caller.tgid, err
}

func (f *facts) isParent() (bool, error) {
	parent, err := f.h.parentOf(f.a.caller.tgid)
	return parent == f.a.target.tgid, err
}

func (f *facts) isDescendant() (bool, error) {
	if f.a.target.tgid == f.a.caller.tgid {
		return false, nil
	}
	return f.h.descends(f.a, f.a.target.tgid, f.a.caller.tgid)
}

// inSandbox is a chain of parents to the supervisor, which is a subreaper; where the
// sandbox is a container that we did not start, its pid namespace and those below it.
func (f *facts) inSandbox() (bool, error) {
	if f.h.Sandbox != nil {
		ns, err := f.h.Sandbox.of(f.h, f.a.caller)
		if err != nil {
			return false, err
		}
		return f.h.visibleFrom(ns, f.a.target.tgid)
	}
	if f.h.Ours != nil && f.h.Ours(f.a.target.tgid) {
		return false, nil
	}
	return f.h.descends(f.a, f.a.target.tgid, f.h.Root)
}

func (f *facts) sameUID() (bool, error) {
	if err := f.h.callerCreds(f.a); err != nil {
		return false, err
	}
	uid, err := f.leaderUID()
	return err == nil && f.h.Self.sameUID(f.a.creds.ruid, uid), err
}

func (f *facts) samePidns() (bool, error) {
	from, err := f.a.caller.dir.NS("pid")
	if err != nil {
		return false, err
	}
	dir, err := f.h.Proc.Dir(f.a.target.tgid)
	if err != nil {
		return false, err
	}
	defer dir.Close()
	to, err := dir.NS("pid")
	return from == to, err
}

// nestedPidns is strictly below the caller's.
func (f *facts) nestedPidns() (bool, error) {
	if same, err := f.samePidns(); same || err != nil {
		return false, err
	}
	ns, err := f.a.caller.dir.OpenNS("pid")
	if err != nil {
		return false, err
	}
	defer closeFD(ns)
	return f.h.visibleFrom(ns, f.a.target.tgid)
}

func (f *facts) isInit() (bool, error) {
	var status proc.Status
	if err := f.h.statusOf(f.a.target.tgid, &status); err != nil {
		return false, err
	}
	if status.NSpids == 0 {
		return status.Pid == 1, nil
	}
	return status.NSpid[status.NSpids-1] == 1, nil
}

package emulate

import (
	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/proc"
	"github.com/pidfd-shim/pidfd-shim/internal/task"
	"github.com/pidfd-shim/pidfd-shim/policy"
)

// evidence gathers what a policy asks of one attempt: through the handles that it holds,
// never by a number alone, and nothing that no rule asks for.
type evidence struct {
	j *judge
	a *attempt
}

// Gather implements policy.Source. What cannot be had is left out of Known.
func (f *evidence) Gather(want policy.Fact, relations policy.Relation, q *policy.Query) {
	want &^= q.Facts.Asked &^ policy.Related
	q.Facts.Asked |= want
	f.siginfo(want, q)
	f.caller(want, q)
	if want&policy.TargetUID != 0 {
		f.targetUID(q)
	}
	if want&(policy.TargetExe|policy.TargetComm|policy.TargetCgroup) != 0 {
		f.targetTexts(want, q)
	}
	if want&policy.TargetPid != 0 && f.a.target.tgid > 0 {
		q.Facts.TargetPid = f.a.target.tgid
		q.Facts.Known |= policy.TargetPid
	}
	if want&policy.Related != 0 {
		f.relate(relations, q)
	}
}

// siginfo takes from the copy. A record that could not be read has been refused before
// any rule was asked, or is not looked at.
func (f *evidence) siginfo(want policy.Fact, q *policy.Query) {
	if want&policy.FinalScope != 0 {
		switch f.a.scope() {
		case scopeGroup:
			q.Scope = policy.ScopeGroup
		case scopeThread:
			q.Scope = policy.ScopeThread
		default:
			q.Scope = policy.ScopeProcess
		}
		q.Facts.Known |= policy.FinalScope
	}
	if f.a.hasInfo {
		q.Facts.Code, q.Facts.Value = f.a.info.Code(), int32(uint32(f.a.info.Value()))
		q.Facts.Known |= want & (policy.Code | policy.Value)
	}
}

// caller reads of the calling thread, which waits in the call.
func (f *evidence) caller(want policy.Fact, q *policy.Query) {
	const ids = policy.CallerUID | policy.CallerEUID | policy.CallerGID
	if want&ids != 0 && f.a.callerCreds(f.j.tasks) == nil {
		c := &f.a.creds
		q.Facts.Caller.UID, q.Facts.Caller.EUID, q.Facts.Caller.GID = c.ruid, c.euid, c.rgid
		q.Facts.Known |= want & (f.numbered(c.ruid, policy.CallerUID) | f.numbered(c.euid, policy.CallerEUID) | f.numbered(c.rgid, policy.CallerGID))
	}
	q.Facts.Known |= texts(f.a.caller.dir, want, policy.CallerExe, policy.CallerComm, policy.CallerCgroup, &q.Facts.Caller)
}

// texts reads those of a task's names that are wanted and returns those it got.
func texts(dir *proc.Dir, want, exe, comm, cgroup policy.Fact, into *policy.Party) (known policy.Fact) {
	for _, text := range [...]struct {
		fact policy.Fact
		read func() (string, error)
		into *[]byte
	}{{exe, dir.Exe, &into.Exe}, {comm, dir.Comm, &into.Comm}, {cgroup, dir.Cgroup, &into.Cgroup}} {
		if want&text.fact == 0 {
			continue
		}
		s, err := text.read()
		if err == nil && s != "" {
			*text.into = append((*text.into)[:0], s...)
			known |= text.fact
		}
	}
	return known
}

// targetUID is the real uid of the target's leader.
func (f *evidence) targetUID(q *policy.Query) {
	if uid, err := f.leaderUID(); err == nil {
		q.Facts.Target.UID = uid
		q.Facts.Known |= f.numbered(uid, policy.TargetUID)
	}
}

// leaderUID asks through the handle, or by the number that the handle's process still has
// afterwards.
func (f *evidence) leaderUID() (uint32, error) {
	t := &f.a.target
	if c := f.a.caller; t.own && c.tid == c.tgid {
		err := f.a.callerCreds(f.j.tasks)
		return f.a.creds.ruid, err
	}
	if t.hasInfo && t.pid == t.tgid {
		var info proc.Info
		err := proc.PidfdInfo(t.fd, &info)
		return info.RUID, err
	}
	if t.tgid <= 0 {
		return 0, unix.ESRCH
	}
	var status proc.Status
	if err := f.j.tasks.Status(t.tgid, &status); err != nil {
		return 0, err
	}
	if !t.owned(f.j.tasks) {
		return 0, unix.ESRCH
	}
	return status.UID[0], nil
}

// numbered is the fact, if the id may be believed: in a user namespace that does not have
// them all, whoever has no number there shows as the overflow id.
func (f *evidence) numbered(id uint32, fact policy.Fact) policy.Fact {
	if id == task.OverflowUID && !f.j.tasks.Self.WholeUserns {
		return 0
	}
	return fact
}

// targetTexts reads the leader's names, by number: good because the handle's process
// still has its number afterwards.
func (f *evidence) targetTexts(want policy.Fact, q *policy.Query) {
	t := &f.a.target
	if t.tgid <= 0 {
		return
	}
	dir := f.a.caller.dir
	if !t.own || f.a.caller.tid != t.tgid {
		var err error
		if dir, err = f.j.tasks.Proc.Dir(t.tgid); err != nil {
			return
		}
		defer dir.Close()
	}
	known := texts(dir, want, policy.TargetExe, policy.TargetComm, policy.TargetCgroup, &q.Facts.Target)
	if t.owned(f.j.tasks) {
		q.Facts.Known |= known
	}
}

// relate finds which of the wanted relations hold between caller and target, as
// docs/POLICY.md defines them. What cannot be told goes to Unsure.
func (f *evidence) relate(want policy.Relation, q *policy.Query) {
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
		{policy.SameSession, func() (bool, error) { return f.a.caller.sameSession(f.a.target.tgid) }},
		{policy.SamePidns, f.samePidns},
		{policy.NestedPidns, f.nestedPidns},
		{policy.Init, f.isInit},
	} {
		if want&r.relation == 0 {
			continue
		}
		holds, err := r.holds()
		if isCut(err) {
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
	if f.a.target.tgid <= 0 || !f.a.target.owned(f.j.tasks) {
		q.Facts.Unsure |= want
		return
	}
	q.Facts.Known |= policy.Related
}

func (f *evidence) isSelf() (bool, error) { return f.a.target.tgid == f.a.caller.tgid, nil }

func (f *evidence) isChild() (bool, error) {
	parent, err := f.j.tasks.Parent(f.a.target.tgid)
	return parent == f.a.caller.tgid, err
}

func (f *evidence) isParent() (bool, error) {
	parent, err := f.j.tasks.Parent(f.a.caller.tgid)
	return parent == f.a.target.tgid, err
}

func (f *evidence) isDescendant() (bool, error) {
	if f.a.target.tgid == f.a.caller.tgid {
		return false, nil
	}
	return descends(f.j.tasks, f.a, f.a.target.tgid, f.a.caller.tgid)
}

// inSandbox is a chain of parents to the supervisor, which is a subreaper; where the
// sandbox is a container that we did not start, its pid namespace and those below it.
func (f *evidence) inSandbox() (bool, error) {
	if f.j.sandbox != nil {
		ns, err := f.j.sandbox.of(f.a.caller)
		if err != nil {
			return false, err
		}
		return f.j.tasks.VisibleFrom(ns, f.a.target.tgid)
	}
	if f.j.ours != nil && f.j.ours(f.a.target.tgid) {
		return false, nil
	}
	return descends(f.j.tasks, f.a, f.a.target.tgid, f.j.root)
}

func (f *evidence) sameUID() (bool, error) {
	if err := f.a.callerCreds(f.j.tasks); err != nil {
		return false, err
	}
	uid, err := f.leaderUID()
	return err == nil && f.j.tasks.Self.SameUID(f.a.creds.ruid, uid), err
}

func (f *evidence) samePidns() (bool, error) {
	from, err := f.a.caller.dir.NS("pid")
	if err != nil {
		return false, err
	}
	dir, err := f.j.tasks.Proc.Dir(f.a.target.tgid)
	if err != nil {
		return false, err
	}
	defer dir.Close()
	to, err := dir.NS("pid")
	return from == to, err
}

// nestedPidns is strictly below the caller's.
func (f *evidence) nestedPidns() (bool, error) {
	if same, err := f.samePidns(); same || err != nil {
		return false, err
	}
	ns, err := f.a.caller.dir.OpenNS("pid")
	if err != nil {
		return false, err
	}
	defer closeFD(ns)
	return f.j.tasks.VisibleFrom(ns, f.a.target.tgid)
}

func (f *evidence) isInit() (bool, error) {
	var status proc.Status
	if err := f.j.tasks.Status(f.a.target.tgid, &status); err != nil {
		return false, err
	}
	if status.NSpids == 0 {
		return status.Pid == 1, nil
	}
	return status.NSpid[status.NSpids-1] == 1, nil
}

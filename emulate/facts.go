package emulate

import (
	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/proc"
	"github.com/pidfd-shim/pidfd-shim/policy"
)

// facts gathers what a policy asks of one attempt: through the handles that it holds,
// never by a number alone, and nothing that no rule asks for.
type facts struct {
	h *SendSignal
	a *attempt
}

// Gather implements policy.Source. What cannot be had is left out of Known.
func (f *facts) Gather(want policy.Fact, relations policy.Relation, q *policy.Query) {
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
func (f *facts) siginfo(want policy.Fact, q *policy.Query) {
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
func (f *facts) caller(want policy.Fact, q *policy.Query) {
	const ids = policy.CallerUID | policy.CallerEUID | policy.CallerGID
	if want&ids != 0 && f.h.callerCreds(f.a) == nil {
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
func (f *facts) targetUID(q *policy.Query) {
	if uid, err := f.leaderUID(); err == nil {
		q.Facts.Target.UID = uid
		q.Facts.Known |= f.numbered(uid, policy.TargetUID)
	}
}

// leaderUID asks through the handle, or by the number that the handle's process still has
// afterwards.
func (f *facts) leaderUID() (uint32, error) {
	t := &f.a.target
	if c := f.a.caller; t.own && c.tid == c.tgid {
		err := f.h.callerCreds(f.a)
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
	if err := f.h.statusOf(t.tgid, &status); err != nil {
		return 0, err
	}
	if !f.h.owns(t) {
		return 0, unix.ESRCH
	}
	return status.UID[0], nil
}

// numbered is the fact, if the id may be believed: in a user namespace that does not have
// them all, whoever has no number there shows as the overflow id.
func (f *facts) numbered(id uint32, fact policy.Fact) policy.Fact {
	if id == overflowUID && !f.h.Self.WholeUserns {
		return 0
	}
	return fact
}

// targetTexts reads the leader's names, by number: good because the handle's process
// still has its number afterwards.
func (f *facts) targetTexts(want policy.Fact, q *policy.Query) {
	t := &f.a.target
	if t.tgid <= 0 {
		return
	}
	dir := f.a.caller.dir
	if !t.own || f.a.caller.tid != t.tgid {
		var err error
		if dir, err = f.h.Proc.Dir(t.tgid); err != nil {
			return
		}
		defer dir.Close()
	}
	known := texts(dir, want, policy.TargetExe, policy.TargetComm, policy.TargetCgroup, &q.Facts.Target)
	if f.h.owns(t) {
		q.Facts.Known |= known
	}
}

// judge asks the policy what registers alone did not decide: 0, or the errno of the
// rule that denies.
func (h *SendSignal) judge(a *attempt) unix.Errno {
	if a.logs != nil {
		h.noteLate(a)
		return 0
	}
	if a.policy == nil || a.fixed {
		return 0
	}
	h.facts = facts{h, a}
	v := a.policy.Decide(&a.query, &h.facts)
	a.note(v)
	if v.Allow {
		return 0
	}
	return v.Errno
}

// early asks what registers alone decide. It comes before every check of the kernel, as
// it does in the filter.
func (h *SendSignal) early(a *attempt) (unix.Errno, bool) {
	if a.policy == nil {
		return 0, false
	}
	a.query = policy.QueryOf(a.req.what, a.call.ABI, a.call.Args)
	v, decided := a.policy.Early(&a.query)
	if !decided {
		return 0, false
	}
	a.fixed = v.Allow
	a.note(v)
	return v.Errno, !v.Allow
}

package policy

import (
	"slices"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
)

// Policy is a policy file, checked. It is never written to after Parse, so any number
// of threads may ask it.
type Policy struct {
	name      string
	syscalls  []arch.Syscall
	complain  bool    // denials are logged instead
	fallback  Verdict // for a call that no rule matches
	defaulted bool    // the file says what happens where no rule matches
	errno     unix.Errno
	rules     []rule
	needs     Fact // of all rules
	index     *index
	examples  []example
	accounts  []string         // what names of users and groups meant
	silenced  map[int][]string // kinds of warnings, by the line of the comment
}

// rule matches if all its checks do.
type rule struct {
	name    string
	at      position
	verdict Verdict
	checks  []check // the cheap ones first: in the order of keys
	facts   Fact    // of all checks
}

// Syscalls are the calls that are under the policy. The caller does not write to it.
func (p *Policy) Syscalls() []arch.Syscall { return p.syscalls }

// Rules are the names of the rules, in their order.
func (p *Policy) Rules() []string {
	var names []string
	for i := range p.rules {
		names = append(names, p.rules[i].name)
	}
	return names
}

// Covers tells whether the call is one of Syscalls.
func (p *Policy) Covers(s arch.Syscall) bool { return slices.Contains(p.syscalls, s) }

// Needs are the facts that some rule asks for.
func (p *Policy) Needs() Fact { return p.needs }

// AsksTarget tells whether a rule asks anything of the target. With such a policy the
// members of a process group are asked one by one.
func (p *Policy) AsksTarget() bool {
	const target = TargetUID | TargetExe | TargetComm | TargetCgroup | TargetPid | Related
	return p.Needs()&target != 0
}

// Denies tells whether the policy denies any call at all.
func (p *Policy) Denies() bool { return !p.complain && p.has(denies) }

// Logs tells whether the policy lets calls pass that are to be written down as denials.
func (p *Policy) Logs() bool {
	return p.has(func(v Verdict) bool { return v.Log }) || p.complain && p.has(denies)
}

// OnlyLogs tells of a policy that changes nothing for anybody: what it lets pass, all, is as
// without it.
func (p *Policy) OnlyLogs() bool { return p != nil && p.Logs() && !p.Denies() }

func denies(v Verdict) bool { return !v.Allow }

func (p *Policy) has(what func(Verdict) bool) bool {
	return what(p.fallback) || slices.ContainsFunc(p.rules, func(r rule) bool { return what(r.verdict) })
}

// OnlySandbox tells of a policy that says no more than "signals stay inside": the kernel can
// hold it by itself.
func (p *Policy) OnlySandbox() bool {
	const inside = Self | Child | Descendant | Sandbox
	if !p.Denies() || p.fallback.Allow || p.fallback.Errno != unix.EPERM || len(p.syscalls) < len(signalSyscalls()) || len(p.rules) == 0 {
		return false
	}
	var allowed Relation
	for i := range p.rules {
		r := &p.rules[i]
		if denies(r.verdict) || len(r.checks) != 1 || r.checks[0].key != keyRelation {
			return false
		}
		allowed |= r.checks[0].relations
	}
	return allowed&Sandbox != 0 && allowed&^inside == 0
}

// Complaining is the policy with each denial logged instead.
func (p *Policy) Complaining() *Policy {
	own := *p
	own.complain = true
	return &own
}

// Complains tells whether the policy is in that mode.
func (p *Policy) Complains() bool { return p.complain }

// outcome is what becomes of a call by a rule's verdict.
func (p *Policy) outcome(v Verdict) Verdict {
	if p.complain && !v.Allow {
		v.Allow, v.Log = true, true
	}
	return v
}

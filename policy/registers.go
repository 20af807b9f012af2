package policy

import (
	"slices"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
)

// RegisterRule is one line of the policy as a filter can have it. The lines are tried
// in order and the first whose conditions all hold decides, or says that the
// supervisor has to be asked.
type RegisterRule struct {
	Rule    string // the name in the file, or "default"
	Syscall arch.Syscall
	ABI     arch.ABI // 0: every ABI
	When    []Cond   // all must hold
	Then    Action
	Errno   unix.Errno // of Deny
	Why     string     // of Ask: what registers do not tell
}

// Cond tests one argument by its low 32 bits, or whether a pointer is NULL.
type Cond struct {
	Arg  int
	In   []Range // any may hold; sorted, and apart from each other
	Mask uint32  // if not 0, only these bits are looked at
	Not  bool
	Null bool // In is ignored: holds if the argument, a pointer of the ABI's width, is NULL
}

// Range is an inclusive range of unsigned 32-bit values.
type Range struct{ Low, High uint32 }

// Action is what becomes of a call.
type Action uint8

// The actions.
const (
	Ask Action = iota // the supervisor decides
	Allow
	Deny
	Log // allow, and say that it would be denied
)

// Registers is the whole policy as an ordered list, for each of Syscalls every rule
// with as much of it as registers tell, and the default last. What no call can reach,
// behind a line without conditions, is left out.
func (p *Policy) Registers() []RegisterRule {
	var list []RegisterRule
	for _, s := range p.syscalls {
		list = append(list, p.registersOf(s)...)
	}
	return list
}

func (p *Policy) registersOf(s arch.Syscall) []RegisterRule {
	var list []RegisterRule
	for i := range p.rules {
		for _, line := range p.rules[i].registers(s, p.outcome(p.rules[i].verdict)) {
			list = append(list, line)
			if line.ABI == 0 && len(line.When) == 0 {
				return list
			}
		}
	}
	fallback := RegisterRule{Rule: p.fallback.Rule, Syscall: s, Then: actionOf(p.outcome(p.fallback))}
	if fallback.Then == Deny {
		fallback.Errno = p.fallback.Errno
	}
	return append(list, fallback)
}

func actionOf(v Verdict) Action {
	switch {
	case v.Log:
		return Log
	case v.Allow:
		return Allow
	}
	return Deny
}

// term is a conjunction of conditions; where it holds, registers do not tell whether
// the checks in asks do.
type term struct {
	abi  arch.ABI
	when []Cond
	asks []key
}

// registers splits the rule into terms no two of which hold for one call.
func (r *rule) registers(s arch.Syscall, v Verdict) []RegisterRule {
	terms := []term{{}}
	for i := range r.checks {
		var next []term
		for _, more := range r.checks[i].terms(s, r.asksAnyway()) {
			for _, t := range terms {
				next = append(next, t.and(more))
			}
		}
		terms = next
	}
	var list []RegisterRule
	for _, t := range terms {
		line := RegisterRule{Rule: r.name, Syscall: s, ABI: t.abi, When: t.when, Then: actionOf(v)}
		switch {
		case len(t.asks) > 0:
			line.Then, line.Why = Ask, why(t.asks)
		case line.Then == Deny:
			line.Errno = r.verdict.Errno
		}
		list = append(list, line)
	}
	return list
}

// asksAnyway tells whether registers never suffice for the rule. Its terms need not
// tell apart then what they would suffice for.
func (r *rule) asksAnyway() bool {
	return slices.ContainsFunc(r.checks, func(c check) bool { return c.key > keyValues })
}

func why(asks []key) string {
	var names []string
	for _, k := range asks {
		names = append(names, k.String())
	}
	return "registers do not tell " + join(names, "and")
}

func (t term) and(more term) term {
	return term{
		abi:  max(t.abi, more.abi),
		when: slices.Concat(t.when, more.when),
		asks: slices.Concat(t.asks, more.asks),
	}
}

// terms are the ways in which the check may hold for a call; none where it cannot.
func (c *check) terms(s arch.Syscall, anyway bool) []term {
	l := layoutOf(s)
	switch c.key {
	case keySignals:
		if l.signal == none {
			return nil
		}
		return []term{{when: []Cond{{Arg: l.signal, In: c.spans.ranges()}}}}
	case keyABI:
		return c.abiTerms()
	case keyScope:
		return c.scopeTerms(s, l, anyway)
	case keyCodes:
		return infoTerms(l, keyCodes, c.null, len(c.spans) > 0, anyway)
	case keyValues:
		return infoTerms(l, keyValues, false, true, anyway)
	}
	return []term{{asks: []key{c.key}}}
}

func (list spans) ranges() []Range {
	var ranges []Range
	for _, s := range list {
		ranges = append(ranges, Range{uint32(s.low), uint32(s.high)})
	}
	return ranges
}

func (c *check) abiTerms() []term {
	if c.abis == arch.AllABIs {
		return []term{{}}
	}
	var terms []term
	for _, abi := range arch.ABIs {
		if c.abis>>abi&1 != 0 {
			terms = append(terms, term{abi: abi})
		}
	}
	return terms
}

// infoTerms are for calls without siginfo, with one, or both. What is in it registers
// do not tell.
func infoTerms(l layout, k key, without, with, anyway bool) []term {
	isNull := Cond{Arg: l.info, Null: true}
	isGiven := Cond{Arg: l.info, Null: true, Not: true}
	var terms []term
	switch {
	case l.info == none:
		if without {
			terms = append(terms, term{})
		}
	case l.flags == none: // a call that takes no NULL
		if with {
			terms = append(terms, term{asks: []key{k}})
		}
	case without && with && anyway:
		terms = append(terms, term{asks: []key{k}})
	default:
		if without {
			terms = append(terms, term{when: []Cond{isNull}})
		}
		if with {
			terms = append(terms, term{when: []Cond{isGiven}, asks: []key{k}})
		}
	}
	return terms
}

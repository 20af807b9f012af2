package policy

import (
	"fmt"
	"slices"
)

// Warnings are what is allowed in the file and probably not meant.
func (p *Policy) Warnings() []Error {
	var list []Error
	add := func(at position, format string, args ...any) {
		list = append(list, Error{p.name, at.line, at.column, fmt.Sprintf(format, args...)})
	}
	if free := p.free(); p.Denies() && len(free) > 0 {
		add(position{1, 1}, "syscalls leaves %s free: what this policy denies can be done by %s", join(free, "and"), free[0])
	}
	if !p.Denies() && !p.defaulted {
		add(position{1, 1}, "nothing is denied: no rule denies, and without default: what no rule matches is allowed")
	}
	for i := range p.rules {
		r := &p.rules[i]
		if r.never() {
			add(r.at, "rule %q never matches: it wants values of calls that have no siginfo", r.name)
		}
		if j := p.before(i); j >= 0 {
			add(r.at, "rule %q is never reached: rule %q in line %d catches all its calls", r.name, p.rules[j].name, p.rules[j].at.line)
		}
		for _, c := range r.checks {
			switch c.key {
			case keyCallerComm, keyTargetComm:
				add(r.at, "rule %q asks for %v: any process can choose its own name", r.name, c.key)
			case keyCallerExe, keyTargetExe:
				add(r.at, "rule %q asks for %v: files can be moved and linked, and an interpreter runs any script", r.name, c.key)
			}
		}
	}
	return list
}

// before finds the first rule that catches all that rule i could, or -1.
func (p *Policy) before(i int) int {
	return slices.IndexFunc(p.rules[:i], func(earlier rule) bool { return earlier.covers(&p.rules[i]) })
}

// free are the signal calls that the policy does not cover.
func (p *Policy) free() []string {
	var names []string
	for _, s := range allSyscalls() {
		if !p.Covers(s) {
			names = append(names, s.String())
		}
	}
	return names
}

// never tells whether the rule wants a value where it wants no siginfo.
func (r *rule) never() bool {
	values := slices.ContainsFunc(r.checks, func(c check) bool { return c.key == keyValues })
	null := slices.ContainsFunc(r.checks, func(c check) bool { return c.key == keyCodes && len(c.spans) == 0 })
	return values && null
}

// covers tells whether every call that reaches later and is caught by it would be
// caught by r before.
func (r *rule) covers(later *rule) bool {
	for i := range r.checks {
		wider := &r.checks[i]
		// Where a fact cannot be had, an allowing rule lets go of what a denying one
		// catches.
		if r.verdict.Allow && !later.verdict.Allow && wider.facts() != 0 {
			return false
		}
		if !slices.ContainsFunc(later.checks, func(c check) bool { return wider.contains(&c) }) {
			return false
		}
	}
	return true
}

// contains tells whether c holds wherever the narrower check does.
func (c *check) contains(narrower *check) bool {
	if c.key != narrower.key {
		return false
	}
	for _, g := range narrower.globs {
		if !slices.ContainsFunc(c.globs, func(own glob) bool { return own.text == g.text }) {
			return false
		}
	}
	return narrower.spans.within(c.spans) && (c.null || !narrower.null) &&
		narrower.scopes&^c.scopes == 0 && narrower.abis&^c.abis == 0 && narrower.relations&^c.relations == 0
}

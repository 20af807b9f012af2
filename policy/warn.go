package policy

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Warning is something doubtful in a file.
type Warning struct {
	Error
	Kind string // free, open, values, unreached, comm or exe: the word by which a comment silences it
}

// Warnings are what is allowed in the file and probably not meant, less those that it
// silences, which are counted.
func (p *Policy) Warnings() (list []Warning, silenced int) {
	r := review{p: p}
	r.file()
	for i := range p.rules {
		r.rule(i)
	}
	return r.list, r.silenced
}

// review collects what is doubtful in a policy.
type review struct {
	p        *Policy
	list     []Warning
	silenced int
}

func (r *review) doubt(kind string, at position, format string, args ...any) {
	w := Warning{Error{r.p.name, at.line, at.column, fmt.Sprintf(format, args...)}, kind}
	if r.silences(w) {
		r.silenced++
		return
	}
	r.list = append(r.list, w)
}

// file doubts what holds for the whole file.
func (r *review) file() {
	if free := r.free(); r.p.Denies() && len(free) > 0 {
		r.doubt("free", position{1, 1}, "syscalls leaves %s free: what this policy denies can be done by %s", join(free, "and"), free[0])
	}
	if !r.p.Denies() && !r.p.defaulted {
		r.doubt("open", position{1, 1}, "nothing is denied: no rule denies, and without default: what no rule matches is allowed")
	}
}

func (r *review) rule(i int) {
	rules := r.p.rules
	own := &rules[i]
	if own.never() {
		r.doubt("values", own.at, "rule %q never matches: it wants values of calls that have no siginfo", own.name)
	}
	if j := r.before(i); j >= 0 {
		r.doubt("unreached", own.at, "rule %q is never reached: rule %q in line %d catches all its calls", own.name, rules[j].name, rules[j].at.line)
	}
	for _, c := range own.checks {
		switch c.key {
		case keyCallerComm, keyTargetComm:
			r.doubt("comm", own.at, "rule %q asks for %v: any process can choose its own name", own.name, c.key)
		case keyCallerExe, keyTargetExe:
			r.doubt("exe", own.at, "rule %q asks for %v: files can be moved and linked, and an interpreter runs any script", own.name, c.key)
		}
	}
}

// silence is a comment that says which warnings are known: about the rule whose name stands in
// its line or in the next, or about the file.
const silence = `(?:^|\s)# silence:((?:[ ,]+[a-z]+)+)`

// silencesIn are the kinds by line.
func silencesIn(text []byte) map[int][]string {
	comment := regexp.MustCompile(silence) // here: who has no policy, like most processes of ours, needs none
	var found map[int][]string
	for i, line := range bytes.Split(text, []byte("\n")) {
		m := comment.FindSubmatch(line)
		if m == nil {
			continue
		}
		if found == nil {
			found = map[int][]string{}
		}
		found[i+1] = strings.FieldsFunc(string(m[1]), func(c rune) bool { return c == ',' || c == ' ' })
	}
	return found
}

func (r *review) silences(w Warning) bool {
	for line, kinds := range r.p.silenced {
		of := w.Kind == "free" || w.Kind == "open" || line == w.Line || line == w.Line-1
		if of && slices.Contains(kinds, w.Kind) {
			return true
		}
	}
	return false
}

// before finds the first rule that catches all that rule i could, or -1.
func (r *review) before(i int) int {
	rules := r.p.rules
	return slices.IndexFunc(rules[:i], func(earlier rule) bool { return earlier.covers(&rules[i]) })
}

// free are the signal calls that the policy does not cover.
func (r *review) free() []string {
	var names []string
	for _, s := range signalSyscalls() {
		if !r.p.Covers(s) {
			names = append(names, s.String())
		}
	}
	if len(names) == len(signalSyscalls()) { // it is about handles alone
		return nil
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

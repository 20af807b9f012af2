package learn

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/policy"
)

// Learned is what became of an audit.
type Learned struct {
	rules    []rule
	syscalls []string // those that were recorded
	Notes    []string // what could not be made a rule of
}

// purpose is whom a rule is about and what goes along: calls of one purpose differ by their
// signal alone. The narrowest words that a person would take: a relation says more than an
// id, an id is harder to forge than a program's file, and that than a name.
type purpose struct {
	relation      string // words of target.relation
	uid           string // of an unrelated target
	exe, comm     string
	cgroup        string
	callerExe     string
	callerComm    string
	scope         string
	code, value   string // of the siginfo; "NULL" and "" without one
	order         int    // of relations in the file
	callerOf, who string // for the name and the comment
}

type rule struct {
	purpose
	name    string
	signals []int32
	calls   int
	lines   []*Line // one for each call and signal
}

// Learn makes rules of the calls that were let through.
func Learn(lines []Line) *Learned {
	l := &Learned{}
	left := map[string]int{}
	byPurpose := map[purpose]*rule{}
	for i := range lines {
		line := &lines[i]
		q, ok := line.query()
		if why := unfit(line, ok); why != "" {
			left[why]++
			continue
		}
		if !slices.Contains(l.syscalls, line.Syscall) {
			l.syscalls = append(l.syscalls, line.Syscall)
		}
		p, ok := purposeOf(line, &q)
		if !ok {
			left["nothing tells its target from others"]++
			continue
		}
		r := byPurpose[p]
		if r == nil {
			r = &rule{purpose: p}
			byPurpose[p] = r
		}
		r.add(line, q.Signal)
	}
	for _, r := range byPurpose {
		slices.Sort(r.signals)
		l.rules = append(l.rules, *r)
	}
	slices.Sort(l.syscalls)
	l.order()
	l.note(left)
	return l
}

// unfit says why a call is no example of what is to be allowed, or "".
func unfit(line *Line, isCall bool) string {
	switch {
	case !isCall:
		return "it is no call that a policy can be about"
	case line.Verdict == "deny":
		return "it was denied by a rule"
	case line.Verdict == "error":
		return "the kernel refused it"
	case line.everybody():
		return ""
	case line.Target == nil || line.Target.Comm == nil:
		return "its target could not be looked at, or was not there"
	case line.Target.Relation == nil:
		return "its line has no relation: an earlier version wrote it, or the caller had ended"
	}
	return ""
}

func (r *rule) add(line *Line, signal int32) {
	r.calls++
	if !slices.Contains(r.signals, signal) {
		r.signals = append(r.signals, signal)
	}
	if !slices.ContainsFunc(r.lines, func(l *Line) bool {
		return l.Syscall == line.Syscall && text(l.Signal) == text(line.Signal)
	}) {
		r.lines = append(r.lines, line)
	}
}

// purposeOf finds the words for a call. False: there are none but "everybody".
func purposeOf(line *Line, q *policy.Query) (p purpose, ok bool) {
	p.scope, p.code = scopeOf(q.Scope), "NULL"
	if q.HasInfo {
		if line.Info == nil {
			return p, false
		}
		p.code = arch.CodeName(q.Signal, line.Info.Code)
		if v, ok := line.value(); ok {
			p.value = fmt.Sprint(v)
		}
	}
	if line.everybody() { // of those, whom one has started
		p.relation, p.order = "self, descendant", len(relations)-1
		return p, true
	}
	t := line.Target
	if p.related(t.Relation) {
		return p, true
	}
	// Nobody's child: who calls belongs to the purpose, too.
	p.order = len(relations)
	p.exe, p.callerExe = text(t.Exe), text(line.Caller.Exe)
	if p.exe == "" {
		p.comm = text(t.Comm)
	}
	if p.callerExe == "" {
		p.callerComm = text(line.Caller.Comm)
	}
	if t.UID != nil {
		p.uid = fmt.Sprint(*t.UID)
	}
	if group := text(t.Cgroup); group != "/" && group != text(line.Caller.Cgroup) {
		p.cgroup = group
	}
	if slices.Contains(t.Relation, "same-session") {
		p.relation = "same-session"
	}
	p.callerOf, p.who = text(line.Caller.Comm), text(t.Comm)
	return p, p.exe != "" || p.comm != "" || p.cgroup != ""
}

// relations from the narrowest, and what a rule about them is called.
var relations = []struct{ word, name string }{
	{"self", "itself"}, {"child", "own-children"}, {"parent", "its-parent"}, {"descendant", "own-descendants"},
}

// everybody tells of kill(-1).
func (l *Line) everybody() bool { return l.Syscall == "kill" && l.Args.Arg0 == "-1" }

// related takes the narrowest relation. A group is more than its leader: of one's own the
// members are oneself and what descends from one.
func (p *purpose) related(held []string) bool {
	for i, r := range relations {
		if !slices.Contains(held, r.word) {
			continue
		}
		p.relation, p.order = r.word, i
		switch {
		case p.scope != "group":
		case r.word == "parent":
			p.relation = "parent, same-session"
		default:
			p.relation, p.order = "self, descendant", len(relations)-1
		}
		return true
	}
	return false
}

func scopeOf(s policy.Scope) string {
	if s == policy.ScopeByDescriptor {
		s = policy.ScopeProcess
	}
	return s.String()
}

// order makes the file the same whatever order the calls came in, and joins what differs
// by the value or the scope alone.
func (l *Learned) order() {
	slices.SortFunc(l.rules, func(a, b rule) int {
		return cmp.Or(cmp.Compare(a.purpose.order, b.purpose.order), cmp.Compare(a.key(), b.key()))
	})
	l.rules = joined(l.rules, func(r rule) string { r.value = ""; return fmt.Sprint(r.purpose, r.signals) }, func(into *rule, r rule) {
		into.value += ", " + r.value
	})
	l.rules = joined(l.rules, func(r rule) string { r.scope = ""; return fmt.Sprint(r.purpose, r.signals) }, func(into *rule, r rule) {
		into.scope += ", " + r.scope
	})
	names := map[string]int{}
	for i := range l.rules {
		r := &l.rules[i]
		r.name = r.title()
		if names[r.name]++; names[r.name] > 1 {
			r.name = fmt.Sprintf("%s-%d", r.name, names[r.name])
		}
	}
}

// joined puts rules of one key together; they are sorted.
func joined(rules []rule, key func(rule) string, join func(*rule, rule)) (list []rule) {
	places := map[string]int{}
	for _, r := range rules {
		k := key(r)
		at, found := places[k]
		if !found {
			places[k] = len(list)
			list = append(list, r)
			continue
		}
		into := &list[at]
		join(into, r)
		into.calls += r.calls
		into.lines = append(into.lines, r.lines...)
	}
	return list
}

func (r *rule) key() string { return fmt.Sprint(r.purpose, r.signals) }

// title is a rule's name.
func (r *rule) title() string {
	name := ""
	if r.purpose.order < len(relations) {
		name = relations[r.purpose.order].name
		if strings.Contains(r.scope, "group") {
			name = "own-group"
		}
	} else {
		name = plain(r.callerOf) + "-to-" + plain(r.who)
	}
	if r.code != "NULL" {
		name += "-queued"
	}
	return name
}

// plain keeps what a rule's name may have.
func plain(comm string) string {
	name := strings.Map(func(c rune) rune {
		if c < 0x80 && (c == '-' || c == '_' || c == '.' || c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z') {
			return c
		}
		return '-'
	}, comm)
	return cmp.Or(strings.Trim(name, "-._"), "unnamed")
}

// note tells what was left out.
func (l *Learned) note(left map[string]int) {
	for why, n := range left {
		l.Notes = append(l.Notes, fmt.Sprintf("%d calls left out: %s", n, why))
	}
	slices.Sort(l.Notes)
	if len(l.syscalls) > 0 && !slices.ContainsFunc(l.syscalls, func(s string) bool { return s != "pidfd_send_signal" }) {
		l.Notes = append(l.Notes, "only pidfd_send_signal was recorded, so kill and its like stay free: record under a policy with \"syscalls: all\"")
	}
}

// Rules is how many there are.
func (l *Learned) Rules() int { return len(l.rules) }

package learn

import (
	"fmt"
	"slices"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/policy"
)

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
	order         int    // in the file
	title         string // the name, if programs have no part in it
	reach         string // whom of a group
	callerOf, who string // for the name
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
	related := p.related(line)
	if p.code != "NULL" && p.title != "" {
		p.title += "-queued"
	}
	return p, related || p.strangers(line)
}

// relations from the narrowest, and what a rule about them is called. Those of groups come
// last.
var relations = []struct{ word, name string }{
	{"self", "itself"}, {"child", "own-children"}, {"parent", "its-parent"}, {"descendant", "own-descendants"},
}

// Where rules stand that are not about one relative.
const (
	orderGroup = 10 + iota
	orderSession
	orderStrangers
	orderVain
)

// related takes the narrowest relation.
func (p *purpose) related(line *Line) bool {
	var held []string
	if line.Target != nil {
		held = line.Target.Relation
	}
	if p.scope == "group" {
		return p.relatedGroup(line, held)
	}
	for i, r := range relations {
		if slices.Contains(held, r.word) {
			p.relation, p.order, p.title = r.word, i, r.name
			return true
		}
	}
	return false
}

// relatedGroup takes words for all members, of whom the line has the leader: what descends
// from the caller where the leader does, or the session, which no group leaves.
func (p *purpose) relatedGroup(line *Line, held []string) bool {
	own := slices.Contains(held, "self") || line.ownGroup()
	switch {
	case line.everybody(), slices.Contains(held, "self"), slices.Contains(held, "descendant"):
		p.relation, p.order, p.title, p.reach = "descendant", orderGroup, "own-group", "what descends from the caller"
		if own {
			p.relation = "self, descendant"
		}
	case own, slices.Contains(held, "same-session"):
		p.relation, p.order, p.title = "same-session", orderSession, "own-session"
	default:
		p.reach = "those like the leader"
		return false
	}
	return true
}

// strangers takes who calls and what the target is: where nobody is related, both belong to
// the purpose.
func (p *purpose) strangers(line *Line) bool {
	t := line.Target
	p.order = orderStrangers
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
	return p.exe != "" || p.comm != "" || p.cgroup != ""
}

// everybody tells of kill(-1), and ownGroup of kill(0).
func (l *Line) everybody() bool { return l.Syscall == "kill" && l.Args.Arg0 == "-1" }
func (l *Line) ownGroup() bool  { return l.Syscall == "kill" && l.Args.Arg0 == "0" }

func scopeOf(s policy.Scope) string {
	if s == policy.ScopeByDescriptor {
		s = policy.ScopeProcess
	}
	return s.String()
}

package learn

import (
	"fmt"

	"github.com/pidfd-shim/pidfd-shim/policy"
)

// Change is what a policy makes of a recorded call.
type Change uint8

// The changes. Unsure is a call that failed, or of which too little was written down.
const (
	Same Change = iota
	Denied
	Allowed
	Unsure
)

// Replayed is one call under a policy.
type Replayed struct {
	Line   *Line
	Change Change
	Rule   string
}

// Replay asks the policy about each line. What it would only log counts as denied.
func Replay(p *policy.Policy, lines []Line) []Replayed {
	all := make([]Replayed, 0, len(lines))
	for i := range lines {
		all = append(all, replay(p, &lines[i]))
	}
	return all
}

func replay(p *policy.Policy, line *Line) Replayed {
	r := Replayed{Line: line}
	q, ok := line.query()
	switch {
	case !ok:
		return r
	case !p.Covers(q.Syscall):
		if line.Verdict == "deny" {
			r.Change = Allowed
		}
		return r
	}
	v, decided := p.Early(&q)
	looked := line.Target != nil && line.Target.Comm != nil && !line.everybody()
	if !decided {
		v = p.Decide(&q, source{line})
	}
	r.Rule = v.Rule
	refused := !v.Allow || v.Log
	switch {
	case refused && decided && line.Verdict != "deny":
		r.Change = Denied // before the kernel looks, if the call fails or not
	case line.Verdict == "error" || !decided && !looked && line.Verdict != "deny":
		r.Change = Unsure // it failed before a rule is asked, or would
	case refused && line.Verdict != "deny":
		r.Change = Denied
	case !refused && line.Verdict == "deny":
		r.Change = Allowed
	}
	return r
}

// String is the line about a change.
func (r Replayed) String() string {
	what := map[Change]string{Same: "unchanged", Denied: "newly denied", Allowed: "newly allowed", Unsure: "cannot be told"}[r.Change]
	by := ""
	if r.Rule != "" {
		by = fmt.Sprintf(" by rule %q", r.Rule)
	}
	return fmt.Sprintf("%s: %s%s: %s", r.Line.Where, what, by, r.Line)
}

// String says what was called, by whom and for whom.
func (l *Line) String() string {
	target := "?"
	if l.Target != nil {
		target = who(l.Target)
	}
	return fmt.Sprintf("%s of %s, %s to %s", l.Syscall, text(l.Signal), who(&l.Caller), target)
}

func who(p *Party) string {
	if p.Pid == nil {
		return text(p.Comm)
	}
	return fmt.Sprintf("%s[%d]", text(p.Comm), *p.Pid)
}

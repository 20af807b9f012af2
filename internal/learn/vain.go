package learn

import (
	"slices"
	"strings"

	"github.com/pidfd-shim/pidfd-shim/policy"
)

// keepErrors has calls that came to nothing go on to fail as they did. What registers alone
// deny is denied before the kernel looks, and then kill(PID, 0) of who has ended were EPERM,
// which says that he lives, in place of ESRCH. A rule that would let the caller signal itself
// has the target looked for first.
func (l *Learned) keepErrors(vain []*Line) {
	var more []rule
	for _, line := range vain {
		q, ok := line.query()
		if !ok || q.Signal < 0 || q.Signal > maxSignal || slices.ContainsFunc(l.rules, func(r rule) bool { return r.asksOf(&q) }) {
			continue
		}
		p := purpose{relation: "self", scope: scopeOf(q.Scope), code: "NULL", order: orderVain, title: "in-vain"}
		if q.HasInfo {
			p.code = ""
		}
		at := slices.IndexFunc(more, func(r rule) bool { return r.purpose == p })
		if at < 0 {
			at = len(more)
			more = append(more, rule{purpose: p})
		}
		more[at].calls++
		if !slices.Contains(more[at].signals, q.Signal) {
			more[at].signals = append(more[at].signals, q.Signal)
		}
	}
	for i := range more {
		slices.Sort(more[i].signals)
	}
	slices.SortFunc(more, func(a, b rule) int { return strings.Compare(a.key(), b.key()) })
	l.rules = append(l.rules, more...)
}

// maxSignal is _NSIG.
const maxSignal = 64

// asksOf tells whether registers leave a call to the rule.
func (r *rule) asksOf(q *policy.Query) bool {
	return slices.Contains(r.signals, q.Signal) && (r.code != "NULL") == q.HasInfo &&
		slices.Contains(strings.Split(r.scope, ", "), scopeOf(q.Scope))
}

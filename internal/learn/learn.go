package learn

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/pidfd-shim/pidfd-shim/policy"
)

// Learned is what became of an audit.
type Learned struct {
	rules    []rule
	syscalls []string // those that were recorded
	Notes    []string // what could not be made a rule of
}

type rule struct {
	purpose
	name    string
	signals []int32
	values  []int64 // of the siginfo
	calls   int
	lines   []*Line // one for each call and signal

	anyValue bool // there were too many
}

// Learn makes rules of the calls that were let through.
func Learn(lines []Line) *Learned {
	l := &Learned{}
	left := map[string]int{}
	byPurpose := map[purpose]*rule{}
	var vain []*Line
	for i := range lines {
		line := &lines[i]
		q, ok := line.query()
		ok = ok && q.Signal != policy.NoSignal // what gets a handle is named by hand
		if ok && !slices.Contains(l.syscalls, line.Syscall) {
			l.syscalls = append(l.syscalls, line.Syscall)
		}
		why := unfit(line, ok)
		if why == failed || why == nobody {
			vain = append(vain, line)
		}
		if why != "" {
			left[why]++
			continue
		}
		p, ok := purposeOf(line, &q)
		if !ok {
			left[same]++
			continue
		}
		r := byPurpose[p]
		if r == nil {
			r = &rule{purpose: p}
			if v, ok := line.value(); ok && p.code != "NULL" {
				r.values = []int64{int64(v)}
			}
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
	l.keepErrors(vain)
	l.name()
	l.note(left)
	return l
}

// Why a call is no example of what is to be allowed.
const (
	foreign = "not of a kind that rules are learned for"
	denied  = "denied by a rule"
	failed  = "refused by the kernel"
	nobody  = "the target was not there, or could not be looked at"
	alone   = "no relation in the line: an earlier version wrote it, or the caller had ended"
	same    = "nothing tells the target from others"
)

func unfit(line *Line, isCall bool) string {
	switch {
	case !isCall:
		return foreign
	case line.Verdict == "deny":
		return denied
	case line.Verdict == "error", line.Errno != "":
		return failed
	case line.everybody(), line.ownGroup():
		return ""
	case line.Target == nil || line.Target.Comm == nil:
		return nobody
	case line.Target.Relation == nil:
		return alone
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

// order makes the file the same whatever order the calls came in, and joins what differs
// by the value or the scope alone.
func (l *Learned) order() {
	slices.SortFunc(l.rules, func(a, b rule) int {
		return cmp.Or(cmp.Compare(a.order, b.order), cmp.Compare(a.key(), b.key()))
	})
	l.rules = joined(l.rules, func(r rule) string { r.value = ""; return fmt.Sprint(r.purpose, r.signals) }, func(into *rule, r rule) {
		into.values = append(into.values, r.values...)
	})
	for i := range l.rules {
		l.rules[i].limitValues()
	}
	l.rules = joined(l.rules, func(r rule) string { r.scope = ""; return fmt.Sprint(r.purpose, r.signals) }, func(into *rule, r rule) {
		into.scope += ", " + r.scope
	})
}

func (l *Learned) name() {
	names := map[string]int{}
	for i := range l.rules {
		r := &l.rules[i]
		r.name = cmp.Or(r.title, r.between())
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

// between names a rule by the programs.
func (r *rule) between() string {
	name := plain(r.callerOf) + "-to-" + plain(r.who)
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
		l.Notes = append(l.Notes, calls(n)+" left out: "+why)
	}
	for i := range l.rules {
		r := &l.rules[i]
		if strings.Contains(r.scope, "group") && r.reach != "" {
			l.Notes = append(l.Notes, fmt.Sprintf("rule %q: of a group its leader alone was recorded: of its members the rule reaches %s", r.name, r.reach))
		}
		if r.anyValue {
			l.Notes = append(l.Notes, fmt.Sprintf("rule %q: more than %d values were seen, so it takes any", r.name, maxValues))
		}
	}
	slices.Sort(l.Notes)
	if len(l.rules) == 0 {
		l.Notes = append(l.Notes, "no call to learn from: all will be denied")
	}
	if len(l.syscalls) > 0 && !slices.ContainsFunc(l.syscalls, func(s string) bool { return s != "pidfd_send_signal" }) {
		l.Notes = append(l.Notes, "only pidfd_send_signal was recorded, so kill and its like stay free: record under a policy with \"syscalls: all\"")
	}
}

// Rules is how many there are.
func (l *Learned) Rules() int { return len(l.rules) }

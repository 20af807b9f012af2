package policy

import (
	"math/bits"

	"github.com/pidfd-shim/pidfd-shim/arch"
)

// index is what registers say to every rule, worked out once: asking each rule for each
// call costs more than all the rest of a call under a hundred rules.
type index struct {
	signals [otherSignal + 1]ruleSet
	rest    [registerKinds]said
}

// otherSignal stands for the numbers that no signal has: no rule can name one.
const otherSignal = arch.SIGRTMAX + 1

// registerKinds are the cases that registers come in, besides signals: with and without
// siginfo, by ABI, by scope.
const (
	abiKinds      = int(arch.ABICount)
	scopeKinds    = int(ScopeGroup) + 1
	registerKinds = 2 * abiKinds * scopeKinds
)

// ruleSet is a set of rules by their places, 64 to a word.
type ruleSet []uint64

func (s ruleSet) add(rule int) { s[rule/64] |= 1 << (rule % 64) }

// said is what registers of one kind say: which rules may match, and which of a rule's
// checks they leave open.
type said struct {
	may  ruleSet
	open []checkSet
}

// checkSet is a set of a rule's checks, by their places: a rule has one of a key at most.
type checkSet uint32

func newIndex(rules []rule) *index {
	x := &index{}
	words := (len(rules) + 63) / 64
	for signal := range x.signals {
		x.signals[signal] = make(ruleSet, words)
		for i := range rules {
			if rules[i].takesSignal(int64(signal)) {
				x.signals[signal].add(i)
			}
		}
	}
	for kind := range x.rest {
		x.rest[kind] = said{make(ruleSet, words), make([]checkSet, len(rules))}
		q := queryOfKind(kind)
		for i := range rules {
			if open, may := rules[i].rest(&q); may {
				x.rest[kind].may.add(i)
				x.rest[kind].open[i] = open
			}
		}
	}
	return x
}

func kindOf(q *Query) int {
	kind := int(q.ABI)*scopeKinds + int(q.Scope)
	if q.HasInfo {
		kind += abiKinds * scopeKinds
	}
	return kind
}

func queryOfKind(kind int) Query {
	return Query{
		Scope:   Scope(kind % scopeKinds),
		ABI:     arch.ABI(kind / scopeKinds % abiKinds),
		HasInfo: kind >= abiKinds*scopeKinds,
	}
}

func (r *rule) takesSignal(signal int64) bool {
	for i := range r.checks {
		if r.checks[i].key == keySignals && !r.checks[i].spans.has(signal) {
			return false
		}
	}
	return true
}

// rest is early without the signal.
func (r *rule) rest(q *Query) (open checkSet, may bool) {
	for i := range r.checks {
		if r.checks[i].key == keySignals {
			continue
		}
		switch r.checks[i].early(q) {
		case no:
			return 0, false
		case unknown:
			open |= 1 << i
		}
	}
	return open, true
}

// candidates are the rules that may match by registers, in their order.
type candidates struct {
	signal ruleSet
	said   *said
	word   int
	left   uint64 // of the word before
}

func (x *index) candidates(q *Query) candidates {
	signal := min(uint32(q.Signal), otherSignal)
	return candidates{signal: x.signals[signal], said: &x.rest[kindOf(q)]}
}

// next returns the place of the next rule, and its checks that are open.
func (c *candidates) next() (rule int, open checkSet, ok bool) {
	for c.left == 0 {
		if c.word == len(c.signal) {
			return 0, 0, false
		}
		c.left = c.signal[c.word] & c.said.may[c.word]
		c.word++
	}
	rule = (c.word-1)*64 + bits.TrailingZeros64(c.left)
	c.left &= c.left - 1
	return rule, c.said.open[rule], true
}

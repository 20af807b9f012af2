package policy

import "math/bits"

// Early decides by registers alone, if they suffice: every rule before the deciding
// one certainly does not match. It asks nothing and changes nothing.
func (p *Policy) Early(q *Query) (v Verdict, decided bool) {
	c := p.index.candidates(q)
	rule, open, found := c.next()
	switch {
	case !found:
		return p.outcome(p.fallback), true
	case open != 0:
		return Verdict{}, false
	}
	return p.outcome(p.rules[rule].verdict), true
}

// Decide tries the rules in their order, and has s gather what a rule asks for and
// registers do not tell. It allocates nothing.
//
// Facts in q that have been asked for already are taken as they are: to decide a
// second time by the facts of then, clear q.Facts first.
func (p *Policy) Decide(q *Query, s Source) Verdict {
	a := asking{q: q, source: s}
	c := p.index.candidates(q)
	for {
		rule, open, found := c.next()
		if !found {
			return p.outcome(p.fallback)
		}
		if r := &p.rules[rule]; r.catches(r.late(&a, open)) {
			return p.outcome(r.verdict)
		}
	}
}

// catches tells whether the rule decides: a denial, and what is logged as one, also where a
// fact could not be had.
func (r *rule) catches(a answer) bool {
	return a == yes || a == unknown && r.verdict.denies()
}

// asking is one call on its way through the rules.
type asking struct {
	q       *Query
	source  Source
	related Relation // the relations that were asked for
}

// late answers for a rule that may match by registers, by the checks that they leave
// open. One that certainly fails outweighs any number of unknown ones.
func (r *rule) late(a *asking, open checkSet) answer {
	all := yes
	for ; open != 0; open &= open - 1 {
		c := &r.checks[bits.TrailingZeros32(uint32(open))]
		if c.key == keyRelation || a.q.Facts.Asked&c.fact == 0 {
			a.gather(r, c)
		}
		switch c.late(a.q) {
		case no:
			return no
		case unknown:
			all = unknown
		}
	}
	return all
}

// gather asks for what the check needs, and for what comes with it that the rule
// needs too, unless it has been asked for.
func (a *asking) gather(r *rule, c *check) {
	f := &a.q.Facts
	want := c.key.fact().together() & r.facts &^ f.Asked
	if c.key != keyRelation {
		if want != 0 {
			a.source.Gather(want, 0, a.q)
		}
		return
	}
	relations := c.relations &^ a.related
	if relations == 0 {
		return
	}
	a.related |= relations
	held, unsure := f.Relations, f.Unsure
	f.Relations, f.Unsure = 0, 0
	before := f.Known
	f.Known &^= Related
	a.source.Gather(Related, relations, a.q)
	if f.Known&Related == 0 {
		f.Relations, f.Unsure = 0, relations
	}
	f.Known |= before | Related
	f.Relations |= held
	f.Unsure |= unsure
}

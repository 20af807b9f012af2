package policy

// Early decides by registers alone, if they suffice: every rule before the deciding
// one certainly does not match. It asks nothing and changes nothing.
func (p *Policy) Early(q *Query) (v Verdict, decided bool) {
	for i := range p.rules {
		switch p.rules[i].early(q) {
		case yes:
			return p.rules[i].verdict, true
		case unknown:
			return Verdict{}, false
		}
	}
	return p.fallback, true
}

func (r *rule) early(q *Query) answer {
	all := yes
	for i := range r.checks {
		switch r.checks[i].early(q) {
		case no:
			return no
		case unknown:
			all = unknown
		}
	}
	return all
}

// Decide tries the rules in their order, and has s gather what a rule asks for and
// registers do not tell. It allocates nothing.
//
// Facts in q that have been asked for already are taken as they are: to decide a
// second time by the facts of then, clear q.Facts first.
func (p *Policy) Decide(q *Query, s Source) Verdict {
	a := asking{q: q, source: s}
	for i := range p.rules {
		if r := &p.rules[i]; r.catches(r.try(&a)) {
			return r.verdict
		}
	}
	return p.fallback
}

// catches tells whether the rule decides: a denial also where a fact could not be had.
func (r *rule) catches(a answer) bool { return a == yes || a == unknown && !r.verdict.Allow }

// asking is one call on its way through the rules.
type asking struct {
	q       *Query
	source  Source
	related Relation             // the relations that were asked for
	watch   func(*check, answer) // of explain
}

// try answers for the whole rule. One check that certainly fails outweighs any number
// of unknown ones, so nothing is gathered for a rule whose register part fails.
func (r *rule) try(a *asking) answer {
	all := r.early(a.q)
	if all != unknown && a.watch == nil {
		return all
	}
	failed := all == no
	all = yes
	for i := range r.checks {
		c := &r.checks[i]
		said := c.early(a.q)
		if said == unknown && failed {
			continue
		}
		if said == unknown {
			a.gather(r, c)
			said = c.late(a.q)
		}
		if a.watch != nil {
			a.watch(c, said)
		}
		if said == no {
			return no
		}
		if said == unknown {
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

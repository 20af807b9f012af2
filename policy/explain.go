package policy

// Step is what one rule said of a call.
type Step struct {
	Rule string `json:"rule"`
	Then string `json:"then"` // allow, deny or log
	Line int    `json:"line"`
	Says string `json:"says"` // yes, no, unknown; "" for a rule behind the deciding one

	Keys []Tried `json:"keys,omitempty"`
}

// Tried is one key of a rule, up to the first that did not match.
type Tried struct {
	Key    string `json:"key"`
	Wanted string `json:"wanted"`
	Says   string `json:"says"`
	Had    string `json:"had,omitempty"` // the fact

	fact Fact
}

// String implements fmt.Stringer.
func (a answer) String() string { return [...]string{"no", "yes", "unknown"}[a] }

// Explain decides as Decide does and says how. show writes the fact behind a key, such
// as "target.exe", and may be nil.
func (p *Policy) Explain(q *Query, s Source, show func(key string, q *Query) string) (Verdict, []Step) {
	return p.explain(q, s, show)
}

func (p *Policy) explain(q *Query, s Source, show func(string, *Query) string) (Verdict, []Step) {
	var steps []Step
	a := asking{q: q, source: s}
	verdict, decided := p.fallback, false
	for i := range p.rules {
		r := &p.rules[i]
		step := Step{Rule: r.name, Then: r.verdict.String(), Line: r.at.line}
		if !decided {
			said := r.explain(&a, func(c *check, said answer) {
				tried := Tried{Key: c.key.String(), Wanted: c.wanted, Says: said.String(), fact: c.facts()}
				if show != nil {
					tried.Had = show(tried.Key, q)
				}
				step.Keys = append(step.Keys, tried)
			})
			step.Says = said.String()
			if r.catches(said) {
				verdict, decided = r.verdict, true
			}
		}
		steps = append(steps, step)
	}
	return verdict, steps
}

// explain answers for the whole rule, and tells of each check up to the first that fails.
// Nothing is gathered for a rule that registers exclude.
func (r *rule) explain(a *asking, tell func(*check, answer)) answer {
	_, may := r.rest(a.q)
	may = may && r.takesSignal(int64(a.q.Signal))
	all := yes
	for i := range r.checks {
		c := &r.checks[i]
		said := c.early(a.q)
		if said == unknown {
			if !may {
				continue
			}
			a.gather(r, c)
			said = c.late(a.q)
		}
		tell(c, said)
		switch said {
		case no:
			return no
		case unknown:
			all = unknown
		}
	}
	return all
}

package policy

import (
	"testing"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/tests/randpolicy"
)

// TestRegistersAgreeWithEarlyAndEarlyWithDecide is over 100,000 pairs of a random
// policy and a random call.
func TestRegistersAgreeWithEarlyAndEarlyWithDecide(t *testing.T) {
	policies, calls := scaled(1000), 100
	g := randpolicy.New(1)
	outcomes := map[Action]int{}
	for range policies {
		text := g.Policy()
		p, err := Parse("random.yaml", []byte(text))
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		lines := p.Registers()
		for range calls {
			outcomes[agree(t, p, lines, g)]++
		}
		if t.Failed() {
			t.Fatal(text)
		}
	}
	t.Logf("registers allow %d, deny %d, ask for %d", outcomes[Allow], outcomes[Deny], outcomes[Ask])
	for _, action := range []Action{Allow, Deny, Ask} {
		if n := outcomes[action]; n < policies*calls/20 {
			t.Errorf("action %v came up %d times: the generator is lopsided", action, n)
		}
	}
}

// agree makes up a call and asks three of one thing: the list that a filter is made
// of, the supervisor's look at registers, and the whole decision, which a fourth,
// written for being read, must agree with.
func agree(t *testing.T, p *Policy, lines []RegisterRule, g randpolicy.Generator) Action {
	t.Helper()
	s, abi, raw := g.Call()
	if !p.Covers(s) {
		s = p.Syscalls()[0]
	}
	q := QueryOf(s, abi, cut(abi, raw))
	line := evaluate(t, lines, s, abi, raw)
	early, decided := p.Early(&q)
	if decided != (line.Then != Ask) || decided && early != (Verdict{Allow: line.Then == Allow, Errno: line.Errno, Rule: line.Rule}) {
		t.Errorf("registers say %+v, Early %+v %v of %+v", line, early, decided, q)
	}
	facts := makeFacts(g)
	want := slow(p, q, facts)
	got := p.Decide(&q, facts)
	if got != want || decided && got != early {
		t.Errorf("Decide says %+v, Early %+v %v, want %+v of %+v with %+v", got, early, decided, want, q, facts)
	}
	if decided && facts.asked != 0 {
		t.Errorf("registers decide, and Decide gathered %b", facts.asked)
	}
	if facts.asked&^p.Needs() != 0 {
		t.Errorf("gathered %b, but Needs is %b", facts.asked, p.Needs())
	}
	return line.Then
}

// cut is what the kernel's entry does to the registers.
func cut(abi arch.ABI, raw [6]uint64) arch.Args {
	if abi == arch.I386 {
		for i := range raw {
			raw[i] = uint64(uint32(raw[i]))
		}
	}
	return raw
}

// evaluate is what a filter does with the list.
func evaluate(t *testing.T, lines []RegisterRule, s arch.Syscall, abi arch.ABI, raw [6]uint64) RegisterRule {
	for _, line := range lines {
		if line.Syscall == s && (line.ABI == 0 || line.ABI == abi) && all(line.When, abi, raw) {
			return line
		}
	}
	t.Fatal("the list has no end")
	return RegisterRule{}
}

func all(conds []Cond, abi arch.ABI, raw [6]uint64) bool {
	for _, c := range conds {
		if holds(c, abi, raw) == c.Not {
			return false
		}
	}
	return true
}

func holds(c Cond, abi arch.ABI, raw [6]uint64) bool {
	if c.Null {
		return raw[c.Arg] == 0 || abi == arch.I386 && uint32(raw[c.Arg]) == 0
	}
	n := uint32(raw[c.Arg])
	if c.Mask != 0 {
		n &= c.Mask
	}
	for _, r := range c.In {
		if n >= r.Low && n <= r.High {
			return true
		}
	}
	return false
}

// slow is the meaning of a policy with all facts on the table.
func slow(p *Policy, q Query, t *table) Verdict {
	q.Facts = t.facts
	q.Facts.Known = t.has
	if t.has&Related == 0 {
		q.Facts.Known |= Related
		q.Facts.Relations, q.Facts.Unsure = 0, ^Relation(0)
	}
	if t.has&FinalScope != 0 && q.Scope == ScopeByDescriptor {
		q.Scope = t.scope
	}
	for _, r := range p.rules {
		failed, unsure := false, false
		for _, c := range r.checks {
			said := c.early(&q)
			if said == unknown {
				said = c.late(&q)
			}
			failed = failed || said == no
			unsure = unsure || said == unknown
		}
		if !failed && (!unsure || !r.verdict.Allow) {
			return r.verdict
		}
	}
	return p.fallback
}

// TestDecideAllocatesNothing is about what every supervised call costs.
func TestDecideAllocatesNothing(t *testing.T) {
	p, err := Parse("p.yaml", []byte(`version: 1
rules:
  - {name: a, action: deny, match: {signals: [SIGKILL], caller: {exe: ["/usr/**/x"], comm: [a*], cgroup: ["/a/**"]}, target: {relation: [init]}}}
  - {name: b, action: allow, match: {scope: [process], codes: [SI_QUEUE], values: [1..5], target: {uid: [0], exe: ["/bin/[a-s]*"], relation: [child, descendant]}}}
default: deny
`))
	if err != nil {
		t.Fatal(err)
	}
	g := randpolicy.New(1)
	facts := makeFacts(g)
	facts.has = ^Fact(0)
	q := new(Query)
	if n := testing.AllocsPerRun(100, func() {
		*q = Query{Syscall: arch.PidfdSendSignal, ABI: arch.AMD64, Signal: 9, HasInfo: true}
		p.Early(q)
		p.Decide(q, facts)
	}); n != 0 {
		t.Errorf("a decision allocates %v times", n)
	}
	if facts.asked == 0 {
		t.Error("nothing was asked for")
	}
}

package policy

import (
	"testing"

	"github.com/pidfd-shim/pidfd-shim/tests/randpolicy"
)

// TestRulesCalledUnreachedAre: no random call is ever decided by a rule that a warning
// calls never reached, or never matching.
func TestRulesCalledUnreachedAre(t *testing.T) {
	g := randpolicy.New(17)
	warned := 0
	for range scaled(800) {
		text := g.Policy()
		p, err := Parse("random.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		dead := map[string]bool{}
		for i := range p.rules {
			if (&review{p: p}).before(i) >= 0 || p.rules[i].never() {
				dead[p.rules[i].name] = true
			}
		}
		warned += len(dead)
		for range 50 {
			s, abi, raw := g.Call()
			if !p.Covers(s) {
				s = p.Syscalls()[0]
			}
			q := QueryOf(s, abi, cut(abi, raw))
			if v := p.Decide(&q, makeFacts(g)); dead[v.Rule] {
				t.Fatalf("rule %s decides\n%s", v.Rule, text)
			}
		}
	}
	if warned < scaled(50) {
		t.Errorf("only %d rules were called unreached", warned)
	}
}

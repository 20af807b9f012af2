package notify

import (
	"math/rand/v2"
	"testing"

	"github.com/pidfd-shim/pidfd-shim/arch"
)

// TestEvaluate: what we say that a program says is what a machine says that runs it.
func TestEvaluate(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 434))
		m := compile(t, randomFilter(r))
		for range 20 {
			d := randomCall(r)
			f := arch.Frame{Arch: d.arch, Nr: d.nr, Raw: d.args}
			if got, want := Evaluate(m.program, f), m.run(d); got != want {
				t.Fatalf("seed %d, %v: action %#x, want %#x\n%s", seed, d, got, want, listing(m.program))
			}
		}
	}
}

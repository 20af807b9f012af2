package notify

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/pidfd-shim/pidfd-shim/arch"
)

// Random filters decide random calls as the oracle does: 20,000 pairs. A failure
// prints the seed, which makes the pair again.
func TestRandomFilters(t *testing.T) {
	const filters, calls = 400, 50
	for seed := range uint64(filters) {
		r := rand.New(rand.NewPCG(seed, 424))
		f := randomFilter(r)
		m := compile(t, f)
		for range calls {
			d := randomCall(r)
			if got, want := m.run(d), decide(f, d); got != want {
				t.Fatalf("seed %d, %v: action %#x, want %#x\n%s\n%s", seed, d, got, want, f.text(), listing(m.program))
			}
		}
	}
}

// The values are few, so that rules overlap and calls hit them.
var edges = []uint32{0, 1, 2, 9, 10, 34, 64, 65, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff}

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

func randomFilter(r *rand.Rand) Filter {
	f := Filter{Default: pick(r, []uint32{notif, allow, eperm})}
	for _, i := range r.Perm(len(all))[:1+r.IntN(len(all))] {
		f.Syscalls = append(f.Syscalls, all[i])
	}
	for i := range r.IntN(12) {
		rule := Rule{Syscall: pick(r, all), ABI: arch.ABI(r.IntN(4)), Then: 0x50000 + uint32(i) + 1}
		for range r.IntN(4) {
			rule.When = append(rule.When, randomCond(r))
		}
		f.Rules = append(f.Rules, rule)
	}
	return f
}

func randomCond(r *rand.Rand) Cond {
	c := Cond{Arg: r.IntN(6), Not: r.IntN(3) == 0, Pointer: r.IntN(4) == 0}
	for range r.IntN(4) {
		low, high := pick(r, edges), pick(r, edges)
		c.In = append(c.In, Range{min(low, high), max(low, high)})
	}
	return c
}

func randomCall(r *rand.Rand) seccompData {
	d := seccompData{arch: pick(r, []uint32{x86_64, x86_64, x86_32, x86_32, 0xc00000b7})}
	abi := pick(r, []arch.ABI{arch.AMD64, arch.I386, arch.X32})
	d.nr = pick(r, slices.Sorted(maps.Keys(table[abi])))
	if r.IntN(8) == 0 {
		d.nr = r.Uint32()
	}
	for i := range d.args {
		d.args[i] = uint64(pick(r, edges)) | uint64(pick(r, []uint32{0, 0, 1, 0xdefaced0}))<<32
	}
	return d
}

func (f Filter) text() string {
	text := fmt.Sprintf("default %#x, supervised %v\n", f.Default, f.Syscalls)
	for _, rule := range f.Rules {
		text += fmt.Sprintf("%v on %v: %+v -> %#x\n", rule.Syscall, rule.ABI, rule.When, rule.Then)
	}
	return text
}

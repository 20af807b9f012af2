package notify

import (
	"slices"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/arch/abi"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// Rule is one line of a filter. Rules are tried in order and the first that matches
// decides; a supervised call that none matches gets the filter's default, and every
// other call is allowed.
type Rule struct {
	Syscall arch.Syscall
	ABI     arch.ABI // 0: every ABI
	When    []Cond   // all must hold
	Then    uint32   // SECCOMP_RET_*, with its data
}

// Cond tests one argument. The kernel cuts int arguments to 32 bits, so a Cond looks
// at the low half alone: an upper half full of garbage changes nothing. A Pointer is
// 64 bits wide for the 64-bit ABIs, and only its being NULL can be asked.
type Cond struct {
	Arg     int
	In      []Range // any may hold
	Mask    uint32  // if not 0, only these bits are looked at
	Not     bool
	Pointer bool // In is ignored: holds if the argument is NULL
}

// Range is an inclusive range of unsigned 32-bit values.
type Range struct{ Low, High uint32 }

// Filter is what Compile turns into a program.
type Filter struct {
	Syscalls []arch.Syscall
	Rules    []Rule
	Default  uint32 // for supervised calls that no rule matches

	// Others are calls by their numbers, all of which get one action.
	Others     []shim.Number
	OthersThen uint32
}

// Offsets in struct seccomp_data (<linux/seccomp.h>): int nr; __u32 arch;
// __u64 instruction_pointer; __u64 args[6], little-endian.
const (
	offsetNr   = 0
	offsetArch = 4
	offsetArgs = 16
)

// refuse is the answer to calls of an architecture that the filter does not know:
// falling through to ALLOW would be a way around it.
const refuse = unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)

// Compile makes the BPF program of a filter. Every rule is kept, in its order.
func Compile(f Filter) ([]unix.SockFilter, error) {
	var a assembler
	groups := abi.Groups()
	starts := make([]label, len(groups))
	a.load(offsetArch)
	for i, group := range groups {
		starts[i] = a.label()
		a.jumpIfEqual(group.Audit, starts[i])
	}
	a.ret(refuse)

	for i, group := range groups {
		a.place(starts[i])
		a.load(offsetNr)
		f.compileNumbers(&a, group.ABIs)
	}
	return a.assemble()
}

// compileNumbers dispatches on the number, which is in the accumulator, to one block
// of rules per supervised call and ABI.
func (f Filter) compileNumbers(a *assembler, abis []arch.ABI) {
	type block struct {
		syscall arch.Syscall
		of      arch.ABI
		start   label
	}
	var blocks []block
	refused := a.label()
	for _, of := range abis {
		for _, syscall := range f.Syscalls {
			for _, nr := range abi.Crossed(syscall, of) {
				a.jumpIfEqual(nr, refused)
			}
			b := block{syscall, of, a.label()}
			for _, nr := range abi.Numbers(syscall, of) {
				a.jumpIfEqual(nr, b.start)
			}
			blocks = append(blocks, b)
		}
	}
	others := a.label()
	for _, other := range f.Others {
		if slices.Contains(abis, other.ABI) {
			a.jumpIfEqual(other.Nr|abi.Of(other.ABI).Mark, others)
		}
	}
	a.ret(unix.SECCOMP_RET_ALLOW)
	a.place(others)
	a.ret(f.OthersThen)
	a.place(refused)
	a.ret(refuse)
	for _, b := range blocks {
		a.place(b.start)
		f.compileRules(a, b.syscall, b.of)
	}
}

func (f Filter) compileRules(a *assembler, syscall arch.Syscall, of arch.ABI) {
	for _, rule := range f.Rules {
		if rule.Syscall != syscall || (rule.ABI != 0 && rule.ABI != of) {
			continue
		}
		next := a.label()
		for _, cond := range rule.When {
			cond.compile(a, of, next)
		}
		a.ret(rule.Then)
		a.place(next)
	}
	a.ret(f.Default)
}

// compile falls through where the condition holds and jumps to otherwise where not.
func (c Cond) compile(a *assembler, of arch.ABI, otherwise label) {
	holds, fails := a.label(), otherwise
	if c.Not {
		holds, fails = otherwise, a.label()
	}
	low := uint32(offsetArgs + 8*c.Arg)
	switch {
	case c.Pointer:
		if abi.Of(of).Wide {
			a.load(low + 4)
			a.jumpUnlessEqual(0, fails)
		}
		a.load(low)
		a.jumpUnlessEqual(0, fails)
	default:
		a.load(low)
		if c.Mask != 0 {
			a.and(c.Mask)
		}
		for _, r := range c.In {
			outside := a.label()
			a.jumpIfLess(r.Low, outside)
			a.jumpIfNotGreater(r.High, holds)
			a.place(outside)
		}
		a.jump(fails)
	}
	if c.Not {
		a.jump(holds)
		a.place(fails)
		return
	}
	a.place(holds)
}

package notify

import (
	"slices"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	i386 "github.com/pidfd-shim/pidfd-shim/arch/386"
	"github.com/pidfd-shim/pidfd-shim/arch/amd64"
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
// __u64 instruction_pointer; __u64 args[6], little-endian on x86.
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
	x86, i386Part := a.label(), a.label()
	a.load(offsetArch)
	a.jumpIfEqual(arch.AuditArchX86_64, x86)
	a.jumpIfEqual(arch.AuditArchI386, i386Part)
	a.ret(refuse)

	a.place(x86)
	a.load(offsetNr)
	f.compileNumbers(&a, arch.AMD64, arch.X32)
	a.place(i386Part)
	a.load(offsetNr)
	f.compileNumbers(&a, arch.I386)
	return a.assemble()
}

// compileNumbers dispatches on the number, which is in the accumulator, to one block
// of rules per supervised call and ABI.
func (f Filter) compileNumbers(a *assembler, abis ...arch.ABI) {
	type block struct {
		syscall arch.Syscall
		abi     arch.ABI
		start   label
	}
	var blocks []block
	refused := a.label()
	for _, abi := range abis {
		for _, syscall := range f.Syscalls {
			for _, nr := range crossed(syscall, abi) {
				a.jumpIfEqual(nr, refused)
			}
			b := block{syscall, abi, a.label()}
			for _, nr := range numbers(syscall, abi) {
				a.jumpIfEqual(nr, b.start)
			}
			blocks = append(blocks, b)
		}
	}
	others := a.label()
	for _, other := range f.Others {
		if slices.Contains(abis, other.ABI) {
			a.jumpIfEqual(numberOf(other), others)
		}
	}
	a.ret(unix.SECCOMP_RET_ALLOW)
	a.place(others)
	a.ret(f.OthersThen)
	a.place(refused)
	a.ret(refuse)
	for _, b := range blocks {
		a.place(b.start)
		f.compileRules(a, b.syscall, b.abi)
	}
}

// numberOf is what struct seccomp_data has of a call.
func numberOf(n shim.Number) uint32 {
	if n.ABI == arch.X32 {
		return n.Nr | arch.X32SyscallBit
	}
	return n.Nr
}

func (f Filter) compileRules(a *assembler, syscall arch.Syscall, abi arch.ABI) {
	for _, rule := range f.Rules {
		if rule.Syscall != syscall || (rule.ABI != 0 && rule.ABI != abi) {
			continue
		}
		next := a.label()
		for _, cond := range rule.When {
			cond.compile(a, abi, next)
		}
		a.ret(rule.Then)
		a.place(next)
	}
	a.ret(f.Default)
}

// compile falls through where the condition holds and jumps to otherwise where not.
func (c Cond) compile(a *assembler, abi arch.ABI, otherwise label) {
	holds, fails := a.label(), otherwise
	if c.Not {
		holds, fails = otherwise, a.label()
	}
	low := uint32(offsetArgs + 8*c.Arg)
	switch {
	case c.Pointer:
		if abi != arch.I386 {
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

// crossed are the numbers of a call with the mark of the other 64-bit ABI: 524 without
// x32's, 129 with it. Until 5.4 (commit "x86/syscalls: Split the x32 syscalls into their
// own table") kernels with x32 ran them; since then they are ENOSYS.
func crossed(syscall arch.Syscall, abi arch.ABI) []uint32 {
	var found []uint32
	for nr := range uint32(548) {
		plain, x32 := amd64.Syscall(nr) == syscall, amd64.SyscallX32(nr) == syscall
		switch {
		case abi == arch.AMD64 && x32 && !plain:
			found = append(found, nr)
		case abi == arch.X32 && plain && !x32:
			found = append(found, nr|arch.X32SyscallBit)
		}
	}
	return found
}

// numbers finds the numbers of a call by asking the arch packages, so that there is
// one table of them. 548 is past the last number of either ABI in use.
func numbers(syscall arch.Syscall, abi arch.ABI) []uint32 {
	var found []uint32
	for nr := range uint32(548) {
		switch {
		case abi == arch.AMD64 && amd64.Syscall(nr) == syscall:
			found = append(found, nr)
		case abi == arch.I386 && i386.Syscall(nr) == syscall:
			found = append(found, nr)
		case abi == arch.X32 && amd64.SyscallX32(nr) == syscall:
			found = append(found, nr|arch.X32SyscallBit)
		}
	}
	return found
}

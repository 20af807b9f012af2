package notify

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
)

const (
	x86_64 = 0xc000003e
	x86_32 = 0x40000003
	poison = 0xdefaced0_0000_0000
)

var (
	ours = []arch.Syscall{arch.PidfdSendSignal}
	all  = []arch.Syscall{arch.PidfdSendSignal, arch.Kill, arch.Tkill, arch.Tgkill, arch.RtSigqueueinfo, arch.RtTgsigqueueinfo}

	everyABI = []seccompData{{nr: 424, arch: x86_64}, {nr: 424, arch: x86_32}, {nr: 0x400001a8, arch: x86_64}}
)

// interestingNumbers has every number that means something in some ABI, with and
// without the x32 mark and other high bits, and its neighbours.
func interestingNumbers() []uint32 {
	numbers := []uint32{0, 1, 0x7fffffff, 0x80000000, 0xffffffff, 0xbfffffff, 0x40000000, 511, 512, 547, 548}
	for _, abi := range table {
		for nr := range abi {
			nr &^= 0x40000000
			for _, n := range []uint32{nr - 1, nr, nr + 1} {
				numbers = append(numbers, n, n|0x40000000, n|0x80000000, n|0xc0000000, n|0x10000)
			}
		}
	}
	return numbers
}

// Every architecture that the kernel can report on any machine is unknown but for
// two; 0xc00000b7 is arm64, 0x80000000 and 0x0 are nobody's.
var architectures = []uint32{x86_64, x86_32, 0xc00000b7, 0x8000003e, 0x4000003e, 0x00000003, 0xc0000003, 0x80000000, 0, 0xffffffff}

func TestEveryNumberOfEveryArchitecture(t *testing.T) {
	for _, syscalls := range [][]arch.Syscall{ours, all, {arch.Kill, arch.RtSigqueueinfo}, nil} {
		f := Filter{Syscalls: syscalls, Default: notif}
		m := compile(t, f)
		for _, a := range architectures {
			for _, nr := range interestingNumbers() {
				d := seccompData{nr: nr, arch: a}
				m.check(d, decide(f, d))
			}
		}
	}
}

// The oracle above could be wrong in the same way, so here are literals.
func TestNumbersOfOurCall(t *testing.T) {
	m := compile(t, Filter{Syscalls: ours, Default: notif})
	rows := []struct {
		name     string
		arch, nr uint32
		want     uint32
	}{
		{"amd64", 0xc000003e, 424, notif},
		{"x32", 0xc000003e, 424 | 0x40000000, notif},
		{"i386", 0x40000003, 424, notif},
		{"i386 has no x32", 0x40000003, 424 | 0x40000000, allow},
		{"the call before", 0xc000003e, 423, allow},
		{"the call after", 0xc000003e, 425, allow},
		{"x32, the call before", 0xc000003e, 423 | 0x40000000, allow},
		{"kill is not supervised", 0xc000003e, 62, allow},
		{"number -1", 0xc000003e, 0xffffffff, allow},
		{"the sign bit", 0xc000003e, 424 | 0x80000000, allow},
		{"arm64", 0xc00000b7, 424, enosys},
		{"arm64, another call", 0xc00000b7, 0, enosys},
		{"no architecture", 0, 424, enosys},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			m := machine{t, m.program, m.vm}
			m.check(seccompData{nr: row.nr, arch: row.arch}, row.want)
		})
	}
}

func TestConditions(t *testing.T) {
	is := func(ranges ...Range) Cond { return Cond{Arg: 1, In: ranges} }
	isNot := func(ranges ...Range) Cond { return Cond{Arg: 1, In: ranges, Not: true} }
	rows := []struct {
		name  string
		cond  Cond
		yes   []uint32
		never []uint32
	}{
		{"one value", is(Range{9, 9}), []uint32{9}, []uint32{8, 10, 0, ^uint32(0)}},
		{"a range", is(Range{34, 64}), []uint32{34, 40, 64}, []uint32{33, 65, 0}},
		{"two ranges", is(Range{1, 2}, Range{9, 10}), []uint32{1, 2, 9, 10}, []uint32{0, 3, 8, 11}},
		{"unsorted and touching", is(Range{5, 6}, Range{3, 4}), []uint32{3, 4, 5, 6}, []uint32{2, 7}},
		{"everything", is(Range{0, ^uint32(0)}), []uint32{0, 1 << 31, ^uint32(0)}, nil},
		{"zero", is(Range{0, 0}), []uint32{0}, []uint32{1, ^uint32(0)}},
		{"unsigned order", is(Range{1 << 31, ^uint32(0)}), []uint32{1 << 31, ^uint32(0)}, []uint32{0, 1<<31 - 1}},
		{"no range", is(), nil, []uint32{0, 9}},
		{"not one value", isNot(Range{9, 9}), []uint32{8, 10, 0}, []uint32{9}},
		{"not two ranges", isNot(Range{1, 2}, Range{9, 10}), []uint32{0, 3, 8, 11}, []uint32{1, 2, 9, 10}},
		{"not nothing", isNot(), []uint32{0, 9}, nil},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			m := compile(t, Filter{Syscalls: ours, Default: notif, Rules: []Rule{
				{Syscall: arch.PidfdSendSignal, When: []Cond{row.cond}, Then: eperm},
			}})
			for _, d := range everyABI {
				for _, upper := range []uint64{0, poison, 1 << 32} {
					for _, value := range row.yes {
						d.args = [6]uint64{poison, upper | uint64(value), poison}
						m.check(d, eperm)
					}
					for _, value := range row.never {
						d.args = [6]uint64{poison, upper | uint64(value), poison}
						m.check(d, notif)
					}
				}
			}
		})
	}
}

// A pointer is as wide as the ABI's registers: an upper half alone is NULL for i386,
// where the kernel cuts it off, and is not for the others.
func TestNullPointer(t *testing.T) {
	for _, not := range []bool{false, true} {
		m := compile(t, Filter{Syscalls: ours, Default: notif, Rules: []Rule{
			{Syscall: arch.PidfdSendSignal, When: []Cond{{Arg: 2, Pointer: true, Not: not}}, Then: eperm},
		}})
		for _, d := range everyABI {
			for pointer, null := range map[uint64]bool{
				0: true, 1: false, 0x7fff_12345678: false, 0x80000000: false,
				poison: d.arch == x86_32, 1 << 32: d.arch == x86_32,
			} {
				d.args = [6]uint64{poison | 1, poison | 1, pointer, poison | 1}
				want := notif
				if null != not {
					want = eperm
				}
				m.check(d, want)
			}
		}
	}
}

func TestEveryArgumentCanBeAsked(t *testing.T) {
	for arg := range 6 {
		m := compile(t, Filter{Syscalls: ours, Default: notif, Rules: []Rule{
			{Syscall: arch.PidfdSendSignal, When: []Cond{{Arg: arg, In: []Range{{7, 7}}}}, Then: eperm},
		}})
		for other := range 6 {
			d := everyABI[0]
			d.args[other] = poison | 7
			want := notif
			if other == arg {
				want = eperm
			}
			m.check(d, want)
		}
	}
}

// All conditions of a rule must hold, and a Not in the middle must not end it.
func TestConditionsAreJoinedByAnd(t *testing.T) {
	m := compile(t, Filter{Syscalls: ours, Default: notif, Rules: []Rule{{
		Syscall: arch.PidfdSendSignal,
		When: []Cond{
			{Arg: 1, In: []Range{{9, 9}, {15, 15}}},
			{Arg: 2, Pointer: true, Not: true},
			{Arg: 3, In: []Range{{0, 0}}},
		},
		Then: eperm,
	}}})
	for _, d := range everyABI {
		for args, want := range map[[3]uint64]uint32{
			{9, 4096, 0}: eperm, {15, 4096, 0}: eperm,
			{10, 4096, 0}: notif, {9, 0, 0}: notif, {9, 4096, 1}: notif, {10, 0, 1}: notif,
		} {
			d.args = [6]uint64{3, args[0], args[1], args[2]}
			m.check(d, want)
		}
	}
}

func TestRuleOfOneABI(t *testing.T) {
	for only, index := range map[arch.ABI]int{arch.AMD64: 0, arch.I386: 1, arch.X32: 2} {
		m := compile(t, Filter{Syscalls: all, Default: notif, Rules: []Rule{
			{Syscall: arch.PidfdSendSignal, ABI: only, Then: eperm},
		}})
		for i, d := range everyABI {
			want := notif
			if i == index {
				want = eperm
			}
			m.check(d, want)
		}
	}
}

// libseccomp loses rules here: a catch-all erases what came before it.
func TestFirstRuleDecides(t *testing.T) {
	signal := func(sig uint32, then uint32) Rule {
		return Rule{Syscall: arch.PidfdSendSignal, When: []Cond{{Arg: 1, In: []Range{{sig, sig}}}}, Then: then}
	}
	m := compile(t, Filter{Syscalls: all, Default: allow, Rules: []Rule{
		{Syscall: arch.Kill, Then: eacces},
		signal(9, eperm),
		signal(9, eacces),
		signal(10, allow),
		{Syscall: arch.PidfdSendSignal, ABI: arch.I386, Then: enosys},
		{Syscall: arch.PidfdSendSignal, Then: notif},
		signal(11, eacces),
		{Syscall: arch.PidfdSendSignal, Then: eperm},
	}})
	for _, d := range everyABI {
		rest := notif
		if d.arch == x86_32 {
			rest = enosys
		}
		for sig, want := range map[uint64]uint32{9: eperm, 10: allow, 11: rest, 0: rest} {
			d.args[1] = poison | sig
			m.check(d, want)
		}
	}
	m.check(seccompData{nr: 62, arch: x86_64}, eacces)
	m.check(seccompData{nr: 200, arch: x86_64}, allow)
}

// A conditional jump reaches 255 instructions; these rules are further apart.
func TestLongListOfRules(t *testing.T) {
	f := Filter{Syscalls: all, Default: notif}
	for sig := range uint32(120) {
		f.Rules = append(f.Rules, Rule{
			Syscall: arch.PidfdSendSignal, Then: 0x50000 | (sig + 1),
			When: []Cond{{Arg: 1, In: []Range{{sig, sig}}}},
		})
	}
	m := compile(t, f)
	if len(m.program) < 3*255 {
		t.Fatalf("%d instructions: the list is not long", len(m.program))
	}
	for _, d := range everyABI {
		for sig := range uint32(122) {
			d.args[1] = poison | uint64(sig)
			m.check(d, decide(f, d))
		}
	}
}

func TestTooLongForTheKernel(t *testing.T) {
	var f Filter
	size := func(rules int) (int, error) {
		f = Filter{Syscalls: ours, Default: notif}
		for range rules {
			f.Rules = append(f.Rules, Rule{Syscall: arch.PidfdSendSignal, ABI: arch.I386, Then: allow})
		}
		program, err := Compile(f)
		return len(program), err
	}
	none, _ := size(0) // one instruction a rule
	if got, err := size(4096 - none); err != nil || got != 4096 {
		t.Errorf("%d instructions, error %v: the kernel would take 4096", got, err)
	}
	if got, err := size(4097 - none); err == nil || got != 0 || !strings.Contains(err.Error(), "4097 instructions") {
		t.Errorf("%d instructions, error %v: want an error that says 4097", got, err)
	}
}

// The constants that the tests write as literals.
func TestActions(t *testing.T) {
	for name, pair := range map[string][2]uint32{
		"allow": {allow, unix.SECCOMP_RET_ALLOW}, "notif": {notif, unix.SECCOMP_RET_USER_NOTIF},
		"enosys": {enosys, refuse}, "eperm": {eperm, unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
		"x86_64": {x86_64, arch.AuditArchX86_64}, "x86_32": {x86_32, arch.AuditArchI386},
	} {
		if pair[0] != pair[1] {
			t.Errorf("%s is %#x here, %#x in the code", name, pair[0], pair[1])
		}
	}
}

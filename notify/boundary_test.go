package notify

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/policy"
)

const ebusy = uint32(0x00050010) // SECCOMP_RET_ERRNO with EBUSY

// listenerCalls are calls of seccomp(2), of which some would make a listener.
var listenerCalls = []struct {
	name               string
	operation, flags   uint64
	program            uint64
	listener, wideOnly bool // wideOnly: not where the kernel cuts the pointer to 32 bits
}{
	{"a listener", 1, 8, 0x1000, true, false},
	{"with every flag", 1, 0x3f, 0x1000, true, false},
	{"with TSYNC", 1, 8 | 1 | 16, 0x1000, true, false},
	{"with flags of tomorrow", 1, 0xffffffff, 0x1000, true, false},
	{"dirty upper halves", poison | 1, poison | 8, 0x1000, true, false},
	{"a program high up", 1, 8, 0x7fff_00000000, true, true},
	{"a plain filter", 1, 0, 0x1000, false, false},
	{"every other flag", 1, 0xfffffff7, 0x1000, false, false},
	{"the bit in an upper half alone", 1, 8 << 32, 0x1000, false, false},
	{"which flags are there", 1, 8, 0, false, false},
	{"strict", 0, 8, 0x1000, false, false},
	{"which actions are there", 2, 8, 0x1000, false, false},
	{"the operation in an upper half alone", 1 << 32, 8, 0x1000, false, false},
}

// seccompNumbers are seccomp(2)'s, of every ABI.
var seccompNumbers = []seccompData{{nr: 317, arch: x86_64}, {nr: 354, arch: x86_32}, {nr: 317 | 0x40000000, arch: x86_64}}

// checkListeners holds a program of whatever compiler to the list: asking is the action
// for what names the flag and no program.
func checkListeners(t *testing.T, m machine, asking uint32) {
	t.Helper()
	for _, c := range listenerCalls {
		for _, d := range seccompNumbers {
			d.args = [6]uint64{c.operation, c.flags, c.program, poison, poison, poison}
			want := allow
			switch {
			case c.program == 0 || c.wideOnly && d.arch == x86_32:
				want = asking
			case c.listener:
				want = ebusy
			}
			m.check(d, want)
		}
	}
}

func TestNoListener(t *testing.T) {
	checkListeners(t, compile(t, Filter{
		Syscalls: []arch.Syscall{arch.Seccomp}, Default: allow, Rules: []Rule{denial(policy.NoListener())},
	}), allow)
}

func TestNoFilterTracer(t *testing.T) {
	m := compile(t, Filter{
		Syscalls: []arch.Syscall{arch.Ptrace}, Default: allow, Rules: []Rule{denial(policy.NoFilterTracer())},
	})
	for _, d := range []seccompData{{nr: 101, arch: x86_64}, {nr: 26, arch: x86_32}, {nr: 521 | 0x40000000, arch: x86_64}} {
		for _, c := range []struct {
			request, data uint64
			want          uint32
		}{
			{0x4206, 0x80, eperm},
			{0x4200, 0x80, eperm},
			{21, 0x80, eperm},
			{poison | 0x4206, poison | 0xff, eperm},
			{0x4206, 0x100000 | 0x7f, allow},
			{0x4206, 0x80 << 32, allow},
			{0x4200, 0, allow},
			{0x4207, 0x80, allow},
			{7, 0x80, allow}, // PTRACE_CONT with signal 128: its own error
			{0, 0x80, allow}, // PTRACE_TRACEME
		} {
			d.args = [6]uint64{c.request, poison | 77, 0, c.data, poison, poison}
			m.check(d, c.want)
		}
	}
	// Kernels before 5.4 ran the numbers of the other 64-bit ABI.
	m.check(seccompData{nr: 521, arch: x86_64}, enosys)
	m.check(seccompData{nr: 101 | 0x40000000, arch: x86_64}, enosys)
}

// denial is a line that denies as our own compiler takes it.
func denial(r policy.RegisterRule) Rule {
	rule := Rule{Syscall: r.Syscall, ABI: r.ABI, Then: unix.SECCOMP_RET_ERRNO | uint32(r.Errno)}
	for _, c := range r.When {
		cond := Cond{Arg: c.Arg, Mask: c.Mask, Not: c.Not, Pointer: c.Null}
		for _, in := range c.In {
			cond.In = append(cond.In, Range(in))
		}
		rule.When = append(rule.When, cond)
	}
	return rule
}

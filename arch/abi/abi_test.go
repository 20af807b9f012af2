package abi

import (
	"testing"

	"github.com/pidfd-shim/pidfd-shim/arch"
)

// TestEntriesAreWhole: each ABI has an entry, which reads its own numbers back.
func TestEntriesAreWhole(t *testing.T) {
	for _, a := range arch.ABIs {
		of := Of(a)
		if of.ABI != a || of.Audit == 0 || of.Args == nil || of.DecodeSiginfo == nil || arch.AuditName(of.Audit) == "" {
			t.Errorf("%s: %+v", a, of)
		}
		if (of.Program == nil) != (a == arch.Native) || (of.Since == "") != (a == arch.Native) {
			t.Errorf("%s: no way to find out whether a kernel has it", a)
		}
		for what := arch.NoSyscall + 1; what < arch.SyscallCount; what++ {
			nr := of.Number(what)
			if got := of.Syscall(uint32(nr) &^ of.Mark); got != what || uint32(nr)&of.Mark != of.Mark {
				t.Errorf("%s: number %#x of %s is %s's", a, nr, what, got)
			}
		}
		if named, ok := Named(a.String()); !ok || named != a {
			t.Errorf("%q names %s", a, named)
		}
		if tagged, ok := Tagged(uint64(a)); !ok || tagged != of {
			t.Errorf("%s is not found by its tag", a)
		}
	}
	for _, tag := range []uint64{0, uint64(arch.ABICount), 1 << 40} {
		if _, ok := Tagged(tag); ok {
			t.Errorf("%d is an ABI's tag", tag)
		}
	}
	if _, ok := Named("unknown"); ok {
		t.Error("an ABI is called unknown")
	}
}

// TestGroups: every ABI is in one, and the native one's is asked about first.
func TestGroups(t *testing.T) {
	count := 0
	for _, g := range Groups() {
		for _, a := range g.ABIs {
			count++
			if Of(a).Audit != g.Audit {
				t.Errorf("%s is in the group of %#x", a, g.Audit)
			}
		}
	}
	if first := Groups()[0]; count != len(arch.ABIs) || first.Audit != arch.NativeAudit || first.ABIs[0] != arch.Native {
		t.Errorf("%+v", Groups())
	}
}

// TestCrossed: numbers with the mark of a sister ABI are no call of either.
func TestCrossed(t *testing.T) {
	for _, a := range arch.ABIs {
		for what := arch.NoSyscall + 1; what < arch.SyscallCount; what++ {
			for _, nr := range Crossed(what, a) {
				if got := Of(a).Syscall(nr &^ Of(a).Mark); got != arch.NoSyscall {
					t.Errorf("%s: %#x, crossed for %s, is %s", a, nr, what, got)
				}
			}
		}
	}
	if len(Crossed(arch.RtSigqueueinfo, arch.AMD64)) == 0 {
		t.Error("rt_sigqueueinfo has no number of its own in each ABI of the group")
	}
}

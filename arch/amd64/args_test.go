package amd64_test

import (
	"testing"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/arch/amd64"
)

const poison = 0xdefaced00000000

// The kernel cuts int arguments where the system call takes them, not before:
// an address keeps all of its bits, on x32 too.
func TestArgsAreWhole(t *testing.T) {
	f := arch.Frame{Arch: arch.AuditArchX86_64, Nr: 424, Raw: [6]uint64{
		poison | 7, poison | 15, poison | 0xfffff000, poison | 1, poison, poison | 0xffffffff,
	}}
	got := amd64.Args(f)
	if got != arch.Args(f.Raw) {
		t.Fatalf("Args = %#x, want %#x", got, f.Raw)
	}
	if got.Int(0) != 7 || got.Int(1) != 15 || got.Int(5) != -1 || got.Uint(3) != 1 || got.Uint(5) != 0xffffffff {
		t.Errorf("Int and Uint read %#x wrongly", got)
	}
	if got.Pointer(2) != poison|0xfffff000 || got.Pointer(4) == 0 {
		t.Errorf("pointers are %#x and %#x", got.Pointer(2), got.Pointer(4))
	}
}

func TestSyscall(t *testing.T) {
	want := map[uint32]arch.Syscall{
		62: arch.Kill, 129: arch.RtSigqueueinfo, 200: arch.Tkill, 234: arch.Tgkill,
		297: arch.RtTgsigqueueinfo, 424: arch.PidfdSendSignal,
		272: arch.Unshare, 308: arch.Setns, 446: arch.LandlockRestrictSelf, 157: arch.Prctl, 317: arch.Seccomp, 101: arch.Ptrace,
		434: arch.PidfdOpen, 2: arch.Open, 257: arch.Openat, 292: arch.Dup3, 319: arch.MemfdCreate, 438: arch.PidfdGetfd, 435: arch.Clone3, 56: arch.Clone, 61: arch.Wait4, 0: arch.Read, 3: arch.Close, 9: arch.Mmap, 11: arch.Munmap, 293: arch.Pipe2,
		247: arch.Waitid, 16: arch.Ioctl,
	}
	x32 := map[uint32]arch.Syscall{
		62: arch.Kill, 524: arch.RtSigqueueinfo, 200: arch.Tkill, 234: arch.Tgkill,
		536: arch.RtTgsigqueueinfo, 424: arch.PidfdSendSignal,
		272: arch.Unshare, 308: arch.Setns, 446: arch.LandlockRestrictSelf, 157: arch.Prctl, 317: arch.Seccomp, 521: arch.Ptrace,
		434: arch.PidfdOpen, 2: arch.Open, 257: arch.Openat, 292: arch.Dup3, 319: arch.MemfdCreate, 438: arch.PidfdGetfd, 435: arch.Clone3, 56: arch.Clone, 61: arch.Wait4, 0: arch.Read, 3: arch.Close, 9: arch.Mmap, 11: arch.Munmap, 293: arch.Pipe2,
		529: arch.Waitid, 514: arch.Ioctl,
	}
	for nr := range uint32(1024) {
		if got := amd64.Syscall(nr); got != want[nr] {
			t.Errorf("Syscall(%d) = %v, want %v", nr, got, want[nr])
		}
		if got := amd64.SyscallX32(nr); got != x32[nr] {
			t.Errorf("SyscallX32(%d) = %v, want %v", nr, got, x32[nr])
		}
	}
}

// Number is the inverse of Syscall, for calls that are made in another's place.
func TestNumber(t *testing.T) {
	for s := arch.NoSyscall + 1; s < arch.SyscallCount; s++ {
		if got := amd64.Syscall(uint32(amd64.Number(s))); got != s {
			t.Errorf("Syscall(Number(%v)) = %v", s, got)
		}
		nr := amd64.NumberX32(s)
		if got := amd64.SyscallX32(uint32(nr) &^ arch.X32SyscallBit); got != s || nr&arch.X32SyscallBit == 0 {
			t.Errorf("SyscallX32(NumberX32(%v)) = %v, number %#x", s, got, nr)
		}
	}
}

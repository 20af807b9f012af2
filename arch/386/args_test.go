package i386_test

import (
	"testing"

	"github.com/pidfd-shim/pidfd-shim/arch"
	i386 "github.com/pidfd-shim/pidfd-shim/arch/386"
)

const poison = 0xdefaced00000000

// int $0x80 from 64-bit code leaves upper halves that the kernel does not see.
func TestArgsAreCut(t *testing.T) {
	f := arch.Frame{Arch: arch.AuditArchI386, Nr: 424, Raw: [6]uint64{
		poison | 7, poison | 15, poison | 0xfffff000, poison | 1, poison, poison | 0xffffffff,
	}}
	got := i386.Args(f)
	if want := (arch.Args{7, 15, 0xfffff000, 1, 0, 0xffffffff}); got != want {
		t.Fatalf("Args = %#x, want %#x", got, want)
	}
	if got.Int(0) != 7 || got.Int(5) != -1 || got.Uint(3) != 1 || got.Uint(5) != 0xffffffff {
		t.Errorf("Int and Uint read %#x wrongly", got)
	}
	if got.Pointer(2) != 0xfffff000 || got.Pointer(4) != 0 {
		t.Errorf("pointers are %#x and %#x", got.Pointer(2), got.Pointer(4))
	}
}

func TestSyscall(t *testing.T) {
	want := map[uint32]arch.Syscall{
		37: arch.Kill, 178: arch.RtSigqueueinfo, 238: arch.Tkill, 270: arch.Tgkill,
		335: arch.RtTgsigqueueinfo, 424: arch.PidfdSendSignal,
		310: arch.Unshare, 346: arch.Setns, 446: arch.LandlockRestrictSelf, 172: arch.Prctl, 354: arch.Seccomp, 26: arch.Ptrace,
		434: arch.PidfdOpen, 5: arch.Open, 295: arch.Openat, 330: arch.Dup3, 356: arch.MemfdCreate, 438: arch.PidfdGetfd, 435: arch.Clone3, 120: arch.Clone, 7: arch.Wait4, 114: arch.Wait4, 284: arch.Waitid, 54: arch.Ioctl,
		3: arch.Read, 6: arch.Close, 192: arch.Mmap, 91: arch.Munmap, 331: arch.Pipe2,
	}
	for nr := range uint32(1024) {
		if got := i386.Syscall(nr); got != want[nr] {
			t.Errorf("Syscall(%d) = %v, want %v", nr, got, want[nr])
		}
	}
	if got := i386.Syscall(424 | arch.X32SyscallBit); got != arch.NoSyscall {
		t.Errorf("424 with the x32 mark is %v on i386", got)
	}
}

// Number is the inverse of Syscall, for calls that are made in another's place.
func TestNumber(t *testing.T) {
	for s := arch.NoSyscall + 1; s < arch.SyscallCount; s++ {
		if got := i386.Syscall(uint32(i386.Number(s))); got != s {
			t.Errorf("Syscall(Number(%v)) = %v", s, got)
		}
	}
}

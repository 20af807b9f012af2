package arch_test

import (
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	i386 "github.com/pidfd-shim/pidfd-shim/arch/386"
	"github.com/pidfd-shim/pidfd-shim/arch/amd64"
)

// The words of Regs, against what x/sys says of struct user_regs_struct.
func TestRegsAreTheKernels(t *testing.T) {
	var k unix.PtraceRegs
	if size := unsafe.Sizeof(arch.Regs{}); size != 27*8 || size != unsafe.Sizeof(k) {
		t.Errorf("%d bytes, the kernel has %d", size, unsafe.Sizeof(k))
	}
	for _, row := range []struct {
		name   string
		reg    int
		offset uintptr
	}{
		{"rbp", arch.RegRBP, unsafe.Offsetof(k.Rbp)},
		{"rbx", arch.RegRBX, unsafe.Offsetof(k.Rbx)},
		{"r10", arch.RegR10, unsafe.Offsetof(k.R10)},
		{"r9", arch.RegR9, unsafe.Offsetof(k.R9)},
		{"r8", arch.RegR8, unsafe.Offsetof(k.R8)},
		{"rax", arch.RegRAX, unsafe.Offsetof(k.Rax)},
		{"rcx", arch.RegRCX, unsafe.Offsetof(k.Rcx)},
		{"rdx", arch.RegRDX, unsafe.Offsetof(k.Rdx)},
		{"rsi", arch.RegRSI, unsafe.Offsetof(k.Rsi)},
		{"rdi", arch.RegRDI, unsafe.Offsetof(k.Rdi)},
		{"orig_rax", arch.RegOrigRAX, unsafe.Offsetof(k.Orig_rax)},
		{"rip", arch.RegIP, unsafe.Offsetof(k.Rip)},
		{"cs", arch.RegCS, unsafe.Offsetof(k.Cs)},
		{"rsp", arch.RegRSP, unsafe.Offsetof(k.Rsp)},
	} {
		if uintptr(row.reg)*8 != row.offset {
			t.Errorf("%s: word %d, the kernel's is at byte %d", row.name, row.reg, row.offset)
		}
	}
}

// What is placed is picked again, and lands where syscall(2) says; nothing else moves.
func TestPlaceAndPick(t *testing.T) {
	const poison = 0xdefaced0_0000_0000
	args := [6]uint64{poison | 11, poison | 22, poison | 33, poison | 44, poison | 55, poison | 66}
	for _, row := range []struct {
		name  string
		order [6]int
		words [6]int // of struct user_regs_struct, as numbers
	}{
		{"amd64: rdi rsi rdx r10 r8 r9", amd64.ArgumentRegs, [6]int{14, 13, 12, 7, 9, 8}},
		{"i386: ebx ecx edx esi edi ebp", i386.ArgumentRegs, [6]int{5, 11, 12, 13, 14, 4}},
	} {
		t.Run(row.name, func(t *testing.T) {
			var regs arch.Regs
			for i := range regs {
				regs[i] = 0xabc0 + uint64(i)
			}
			before := regs
			if got := regs.Pick(row.order); got != [6]uint64{
				before[row.words[0]], before[row.words[1]], before[row.words[2]],
				before[row.words[3]], before[row.words[4]], before[row.words[5]],
			} {
				t.Errorf("picked %#x", got)
			}
			regs.Place(row.order, args)
			if got := regs.Pick(row.order); got != args {
				t.Errorf("picked %#x, placed %#x", got, args)
			}
			for i, word := range row.words {
				if regs[word] != args[i] {
					t.Errorf("argument %d: word %d is %#x", i, word, regs[word])
				}
				regs[word] = before[word]
			}
			if regs != before {
				t.Errorf("another register changed: %#x, was %#x", regs, before)
			}
		})
	}
}

package amd64

import (
	"golang.org/x/arch/x86/x86asm"

	"github.com/pidfd-shim/pidfd-shim/arch"
)

// Agrees tells whether the instruction makes calls of an ABI. Every 32-bit entry
// returns behind an int $0x80, that of the vdso or its own.
func Agrees(abi arch.ABI, code [4]byte, is64 bool) bool {
	last := decodeEntry(code[2:], is64)
	if abi == arch.I386 {
		return last == arch.EntryInt80
	}
	return is64 && last == arch.EntrySyscall
}

// EntryOf names the instruction: before the vdso's int $0x80 stands the one that is
// taken where it is not a restart. AMD's has a SYSCALL there, which x86asm, like Intel,
// knows in 64-bit code only.
func EntryOf(code [4]byte, is64 bool) arch.Entry {
	last := decodeEntry(code[2:], is64)
	if last == arch.EntryInt80 && !is64 {
		if fast := decodeEntry(code[:2], true); fast == arch.EntrySysenter || fast == arch.EntrySyscall {
			return fast
		}
	}
	return last
}

func decodeEntry(code []byte, is64 bool) arch.Entry {
	mode := 32
	if is64 {
		mode = 64
	}
	inst, err := x86asm.Decode(code, mode)
	if err != nil || inst.Len != len(code) {
		return arch.EntryUnknown
	}
	switch {
	case inst.Op == x86asm.SYSCALL:
		return arch.EntrySyscall
	case inst.Op == x86asm.SYSENTER:
		return arch.EntrySysenter
	case inst.Op == x86asm.INT && inst.Args[0] == x86asm.Imm(0x80):
		return arch.EntryInt80
	}
	return arch.EntryUnknown
}

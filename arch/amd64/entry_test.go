package amd64

import (
	"fmt"
	"testing"

	"github.com/pidfd-shim/pidfd-shim/arch"
)

// Bytes before the address to which a call returns, as they were found in programs.
var captured = []struct {
	name   string
	code   [4]byte
	is64   bool
	entry  arch.Entry
	native bool // the instruction of 64-bit calls
	compat bool // that of 32-bit calls
}{
	{"libc's syscall after a mov", [4]byte{0x89, 0xd0, 0x0f, 0x05}, true, arch.EntrySyscall, true, false},
	{"libc's syscall after mov $0xf, %rax", [4]byte{0x00, 0x00, 0x0f, 0x05}, true, arch.EntrySyscall, true, false},
	{"int $0x80 in 64-bit code", [4]byte{0x89, 0xce, 0xcd, 0x80}, true, arch.EntryInt80, false, true},
	{"vdso32 of an AMD machine", [4]byte{0x0f, 0x05, 0xcd, 0x80}, false, arch.EntrySyscall, false, true},
	{"vdso32 of an Intel machine", [4]byte{0x0f, 0x34, 0xcd, 0x80}, false, arch.EntrySysenter, false, true},
	{"int $0x80 in 32-bit code", [4]byte{0xd2, 0x31, 0xcd, 0x80}, false, arch.EntryInt80, false, true},
	{"the first instruction of a page", [4]byte{0, 0, 0x0f, 0x05}, true, arch.EntrySyscall, true, false},
	// 64-bit code whose bytes before int $0x80 happen to be a syscall's: no vdso there.
	{"syscall; int $0x80 in 64-bit code", [4]byte{0x0f, 0x05, 0xcd, 0x80}, true, arch.EntryInt80, false, true},
	// An int $0x80 of another vector, and what looks like an entry in the middle of another.
	{"int $0x81", [4]byte{0x90, 0x90, 0xcd, 0x81}, false, arch.EntryUnknown, false, false},
	{"int3", [4]byte{0x90, 0x90, 0x90, 0xcc}, true, arch.EntryUnknown, false, false},
	{"sysret", [4]byte{0x90, 0x90, 0x0f, 0x07}, true, arch.EntryUnknown, false, false},
	{"memory that could not be read", [4]byte{}, true, arch.EntryUnknown, false, false},
	{"memory that could not be read, 32-bit", [4]byte{}, false, arch.EntryUnknown, false, false},
	// SYSENTER and 32-bit SYSCALL return to the vdso, never behind themselves.
	{"sysenter right before", [4]byte{0x90, 0x90, 0x0f, 0x34}, false, arch.EntrySysenter, false, false},
	{"32-bit syscall right before", [4]byte{0x90, 0x90, 0x0f, 0x05}, false, arch.EntryUnknown, false, false},
}

func TestEntryInstruction(t *testing.T) {
	for _, row := range captured {
		if got := EntryOf(row.code, row.is64); got != row.entry {
			t.Errorf("%s (% x): %s, want %s", row.name, row.code, got, row.entry)
		}
		for abi, want := range map[arch.ABI]bool{arch.AMD64: row.native, arch.X32: row.native, arch.I386: row.compat} {
			if got := Agrees(abi, row.code, row.is64); got != want {
				t.Errorf("%s (% x): a tag of %s agrees: %t, want %t", row.name, row.code, abi, got, want)
			}
		}
	}
}

// FuzzEntryInstruction: the bytes are the traced program's, who may choose them. An
// instruction is taken for an entry only if it is one, whole, at the very end; and no
// bytes agree with two ABIs of different width.
func FuzzEntryInstruction(f *testing.F) {
	for _, row := range captured {
		f.Add(row.code[0], row.code[1], row.code[2], row.code[3], row.is64)
	}
	// What made older decoders panic: prefixes, truncated opcodes, VEX and EVEX.
	for _, seed := range [][4]byte{
		{0x66, 0x67, 0xf2, 0xf3},
		{0x40, 0x48, 0x0f, 0x05},
		{0x0f, 0x38, 0x0f, 0x3a},
		{0xc4, 0xe2, 0xc5, 0xf8},
		{0x62, 0xf1, 0x0f, 0x05},
		{0xf0, 0xf0, 0xcd, 0x80},
		{0xff, 0xff, 0xff, 0xff},
		{0x48, 0xcd, 0x80, 0x80},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3], true)
		f.Add(seed[0], seed[1], seed[2], seed[3], false)
	}
	f.Fuzz(func(t *testing.T, a, b, c, d byte, is64 bool) {
		code := [4]byte{a, b, c, d}
		want := arch.EntryUnknown
		switch [2]byte{c, d} {
		case [2]byte{0x0f, 0x05}:
			if is64 {
				want = arch.EntrySyscall
			}
		case [2]byte{0xcd, 0x80}:
			want = arch.EntryInt80
		case [2]byte{0x0f, 0x34}:
			want = arch.EntrySysenter
		}
		if got := decodeEntry(code[2:], is64); got != want {
			t.Errorf("% x: %s, want %s", code, got, want)
		}
		if Agrees(arch.I386, code, is64) && (Agrees(arch.AMD64, code, is64) || Agrees(arch.X32, code, is64)) {
			t.Errorf("% x agrees with both widths", code)
		}
		if got := EntryOf(code, is64); got != want && (want != arch.EntryInt80 || is64) {
			t.Errorf("% x: named %s, is %s", code, got, want)
		}
	})
}

// All two-byte instructions, exhaustively: fuzzing seldom meets three of 65,536.
func TestEntryInstructionAll(t *testing.T) {
	entries := map[string]int{}
	for i := range 1 << 16 {
		code := []byte{byte(i >> 8), byte(i)}
		for _, is64 := range []bool{false, true} {
			if got := decodeEntry(code, is64); got != arch.EntryUnknown {
				entries[fmt.Sprintf("% x %s %t", code, got, is64)]++
			}
		}
	}
	want := []string{
		"0f 05 syscall true", "0f 34 sysenter false", "0f 34 sysenter true",
		"cd 80 int80 false", "cd 80 int80 true",
	}
	for _, w := range want {
		if entries[w] != 1 {
			t.Errorf("%s: %d times", w, entries[w])
		}
	}
	if len(entries) != len(want) {
		t.Errorf("%v", entries)
	}
}

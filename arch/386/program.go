package i386

import (
	"encoding/binary"

	"github.com/pidfd-shim/pidfd-shim/arch"
)

// program is one of this ABI that does nothing and ends with arch.StatusDone.
func program() []byte {
	return elf32([]byte{
		0xb8, 1, 0, 0, 0, // mov $1, %eax: exit
		0xbb, arch.StatusDone, 0, 0, 0, // mov, %ebx
		0xcd, 0x80, // int $0x80
	})
}

// loadedAt is where programs are. The executable is one segment, headers included.
const loadedAt = 0x400000

// elf32 is an i386 executable of the code.
func elf32(code []byte) []byte {
	const headerSize, phdrSize = 52, 32 // Elf32_Ehdr, Elf32_Phdr
	size := uint32(headerSize + phdrSize + len(code))
	le := binary.LittleEndian

	elf := []byte{0x7f, 'E', 'L', 'F', 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0} // 32 bits, little-endian
	elf = le.AppendUint16(elf, 2)                                          // ET_EXEC
	elf = le.AppendUint16(elf, 3)                                          // EM_386
	elf = le.AppendUint32(elf, 1)                                          // EV_CURRENT
	elf = le.AppendUint32(elf, loadedAt+headerSize+phdrSize)               // e_entry
	elf = le.AppendUint32(elf, headerSize)                                 // e_phoff
	elf = le.AppendUint32(elf, 0)                                          // e_shoff
	elf = le.AppendUint32(elf, 0)                                          // e_flags
	for _, half := range []uint16{headerSize, phdrSize, 1, 0, 0, 0} {
		elf = le.AppendUint16(elf, half) // e_ehsize, e_phentsize, e_phnum, no sections
	}
	// PT_LOAD, offset, vaddr, paddr, filesz, memsz, R+X, align
	for _, word := range []uint32{1, 0, loadedAt, loadedAt, size, size, 5, 0x1000} {
		elf = le.AppendUint32(elf, word)
	}
	return append(elf, code...)
}

package amd64

import (
	"encoding/binary"

	"github.com/pidfd-shim/pidfd-shim/arch"
)

// programX32 asks for its pid as x32, and ends with arch.StatusDone or with the errno.
func programX32() []byte {
	return elf64([]byte{
		0xb8, 39, 0, 0, arch.X32SyscallBit >> 24, // mov, %eax: getpid
		0x0f, 0x05, // syscall
		0xbf, arch.StatusDone, 0, 0, 0, // mov, %edi
		0x85, 0xc0, // test %eax, %eax
		0x7f, 4, // jg over the next two
		0x89, 0xc7, // mov %eax, %edi
		0xf7, 0xdf, // neg %edi: the errno
		0xb8, 60, 0, 0, 0, // mov, %eax: exit
		0x0f, 0x05, // syscall
	})
}

// CallOnce is a program that makes one call, which harms nobody if it is carried out:
// its descriptor, or pid, is -1. It ends with the errno, or with arch.StatusTrapped.
func CallOnce(nr uint32) []byte {
	le := binary.LittleEndian
	code := []byte{
		0x48, 0x8d, 0x35, 0, 0, 0, 0, // lea action(%rip), %rsi
		0xb8, 13, 0, 0, 0, // mov, %eax: rt_sigaction
		0xbf, 31, 0, 0, 0, // mov, %edi: SIGSYS
		0x31, 0xd2, // xor %edx, %edx
		0x41, 0xba, 8, 0, 0, 0, // mov $8, %r10d
		0x0f, 0x05, // syscall: rt_sigaction(SIGSYS, action, NULL, 8)
		0x31, 0xf6, // xor %esi, %esi
		0x45, 0x31, 0xd2, // xor %r10d, %r10d
		0x48, 0x83, 0xcf, 0xff, // or $-1, %rdi
		0xb8, byte(nr), byte(nr >> 8), 0, 0, // mov, %eax
		0x0f, 0x05, // syscall: (-1, 0, NULL, 0)
		0x89, 0xc7, // mov %eax, %edi
		0xf7, 0xdf, // neg %edi
		0xb8, 60, 0, 0, 0, // mov, %eax: exit
		0x0f, 0x05, // syscall
	}
	const lea, actionSize = 7, 32
	const restorer = 0x04000000 // SA_RESTORER of <asm/signal.h>: without it the kernel delivers no signal
	action := len(code)
	le.PutUint32(code[3:], uint32(action-lea))
	for _, word := range []uint64{codeAt + uint64(action) + actionSize, restorer, 0, 0} { // handler, flags, restorer, mask
		code = le.AppendUint64(code, word)
	}
	return elf64(append(code,
		0xbf, arch.StatusTrapped, 0, 0, 0, // mov, %edi
		0xb8, 60, 0, 0, 0, // mov, %eax: exit
		0x0f, 0x05, // syscall
	))
}

// Executables are one segment that is loaded where programs are, headers included.
const (
	loadedAt = 0x400000
	codeAt   = loadedAt + 64 + 56 // behind the headers
)

// elf64 is an x86-64 executable of the code.
func elf64(code []byte) []byte {
	const headerSize, phdrSize = 64, 56 // Elf64_Ehdr, Elf64_Phdr
	size := uint64(headerSize + phdrSize + len(code))
	le := binary.LittleEndian

	elf := []byte{0x7f, 'E', 'L', 'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0} // 64 bits, little-endian
	elf = le.AppendUint16(elf, 2)                                          // ET_EXEC
	elf = le.AppendUint16(elf, 62)                                         // EM_X86_64
	elf = le.AppendUint32(elf, 1)                                          // EV_CURRENT
	elf = le.AppendUint64(elf, loadedAt+headerSize+phdrSize)               // e_entry
	elf = le.AppendUint64(elf, headerSize)                                 // e_phoff
	elf = le.AppendUint64(elf, 0)                                          // e_shoff
	elf = le.AppendUint32(elf, 0)                                          // e_flags
	for _, half := range []uint16{headerSize, phdrSize, 1, 0, 0, 0} {
		elf = le.AppendUint16(elf, half) // e_ehsize, e_phentsize, e_phnum, no sections
	}
	elf = le.AppendUint32(elf, 1) // PT_LOAD
	elf = le.AppendUint32(elf, 5) // R+X
	// offset, vaddr, paddr, filesz, memsz, align
	for _, word := range []uint64{0, loadedAt, loadedAt, size, size, 0x1000} {
		elf = le.AppendUint64(elf, word)
	}
	return append(elf, code...)
}

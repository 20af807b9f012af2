package kernel

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// runProgram runs an executable in a child and tells how that ended. A kernel that
// cannot run its kind is an answer: ErrUnsupported.
func runProgram(what string, elf []byte) (syscall.WaitStatus, error) {
	child, err := startProgram(what, elf, &syscall.ProcAttr{})
	if err != nil {
		return 0, err
	}
	var status syscall.WaitStatus
	if _, err := wait(child, &status); err != nil {
		return 0, answer("wait for "+what, err)
	}
	return status, nil
}

// startProgram starts an executable in a child, without an environment.
func startProgram(what string, elf []byte, attr *syscall.ProcAttr) (child int, err error) {
	name, file, err := inMemory(elf)
	if err != nil {
		return 0, answer("write "+what, err)
	}
	defer file.Close()
	attr.Env = []string{}
	if child, err = syscall.ForkExec(name, []string{what}, attr); err != nil {
		return 0, answer("run "+what, err, unix.ENOEXEC)
	}
	return child, nil
}

// inMemory puts a program where no mount can forbid to run it.
func inMemory(elf []byte) (name string, file *os.File, err error) {
	fd, err := unix.MemfdCreate("program", unix.MFD_CLOEXEC)
	if err != nil {
		return "", nil, err
	}
	file = os.NewFile(uintptr(fd), "program")
	if _, err := file.Write(elf); err != nil {
		return "", nil, errors.Join(err, file.Close())
	}
	name = fmt.Sprintf("/proc/self/fd/%d", fd)
	if _, err := os.Stat(name); errors.Is(err, fs.ErrNotExist) {
		return "", nil, errors.Join(err, file.Close())
	}
	return name, file, nil
}

// Both kinds are one segment that is loaded where programs are, headers included.
const (
	loadedAt = 0x400000
	codeAt   = loadedAt + 64 + 56 // elf64's, behind its headers
)

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

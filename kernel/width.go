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

// x32Bit marks a system call number as x32's, __X32_SYSCALL_BIT.
const x32Bit = 0x40000000

// X32 asks for the x32 ABI by making one of its calls. Linux 3.4, where the kernel
// was built with it; few are.
func X32() error {
	pid, _, errno := unix.RawSyscall(unix.SYS_GETPID|x32Bit, 0, 0, 0)
	if errno == 0 && int(pid) != os.Getpid() {
		return fmt.Errorf("x32 getpid: got %d", pid)
	}
	return answer("x32 getpid", errnoOf(errno))
}

// i386Status is what the 32-bit probe program exits with.
const i386Status = 42

// I386 asks for 32-bit programs by running the smallest one. 2.6 and before, where
// the kernel was built with IA32_EMULATION and it was not turned off at boot.
func I386() error {
	name, file, err := i386Program()
	if err != nil {
		return answer("write a 32-bit program", err)
	}
	defer file.Close()
	child, err := syscall.ForkExec(name, []string{"i386"}, &syscall.ProcAttr{Env: []string{}})
	if err != nil {
		return answer("run a 32-bit program", err, unix.ENOEXEC)
	}
	var status syscall.WaitStatus
	if _, err := wait(child, &status); err != nil {
		return answer("wait for a 32-bit program", err)
	}
	if status.ExitStatus() != i386Status {
		return fmt.Errorf("32-bit program: %w (status %#x)", errors.ErrUnsupported, status)
	}
	return nil
}

// i386Program puts the program into memory, where no mount can forbid to run it.
func i386Program() (name string, file *os.File, err error) {
	fd, err := unix.MemfdCreate("i386", unix.MFD_CLOEXEC)
	if err != nil {
		return "", nil, err
	}
	file = os.NewFile(uintptr(fd), "i386")
	if _, err := file.Write(i386ELF()); err != nil {
		return "", nil, errors.Join(err, file.Close())
	}
	name = fmt.Sprintf("/proc/self/fd/%d", fd)
	if _, err := os.Stat(name); errors.Is(err, fs.ErrNotExist) {
		return "", nil, errors.Join(err, file.Close())
	}
	return name, file, nil
}

// i386ELF is an executable of one loaded segment that does exit(42).
func i386ELF() []byte {
	const (
		base       = 0x08048000
		headerSize = 52 // Elf32_Ehdr
		phdrSize   = 32 // Elf32_Phdr
	)
	code := []byte{
		0xb8, 1, 0, 0, 0, // mov $1, %eax: exit is 1 on i386
		0xbb, i386Status, 0, 0, 0, // mov $42, %ebx
		0xcd, 0x80, // int $0x80
	}
	size := uint32(headerSize + phdrSize + len(code))
	le := binary.LittleEndian

	elf := []byte{0x7f, 'E', 'L', 'F', 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0} // 32 bits, little-endian
	elf = le.AppendUint16(elf, 2)                                          // ET_EXEC
	elf = le.AppendUint16(elf, 3)                                          // EM_386
	elf = le.AppendUint32(elf, 1)                                          // EV_CURRENT
	elf = le.AppendUint32(elf, base+headerSize+phdrSize)                   // e_entry
	elf = le.AppendUint32(elf, headerSize)                                 // e_phoff
	elf = le.AppendUint32(elf, 0)                                          // e_shoff
	elf = le.AppendUint32(elf, 0)                                          // e_flags
	for _, half := range []uint16{headerSize, phdrSize, 1, 0, 0, 0} {
		elf = le.AppendUint16(elf, half) // e_ehsize, e_phentsize, e_phnum, no sections
	}
	// PT_LOAD, offset, vaddr, paddr, filesz, memsz, R+X, align
	for _, word := range []uint32{1, 0, base, base, size, size, 5, 0x1000} {
		elf = le.AppendUint32(elf, word)
	}
	return append(elf, code...)
}

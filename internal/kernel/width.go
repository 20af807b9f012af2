package kernel

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/sys"
)

// x32Bit marks a system call number as x32's, __X32_SYSCALL_BIT.
const x32Bit = 0x40000000

// X32 asks for the x32 ABI by making one of its calls. Linux 3.4, where the kernel
// was built with it; few are.
//
// A filter may kill who makes it (systemd's SystemCallArchitectures=native), so under
// one a child does.
func X32() error {
	if Filtered() {
		return x32InChild()
	}
	pid, errno := sys.Call(unix.SYS_GETPID|x32Bit, 0)
	if errno == 0 && int(pid) != os.Getpid() {
		return fmt.Errorf("x32 getpid: got %d", pid)
	}
	return answer("x32 getpid", sys.Err(errno))
}

func x32InChild() error {
	status, err := runProgram("a program that calls as x32", elf64([]byte{
		0xb8, unix.SYS_GETPID, 0, 0, x32Bit >> 24, // mov $x32Bit|39, %eax
		0x0f, 0x05, // syscall
		0x31, 0xff, // xor %edi, %edi
		0x85, 0xc0, // test %eax, %eax
		0x7f, 4, // jg over the next two
		0x89, 0xc7, // mov %eax, %edi
		0xf7, 0xdf, // neg %edi: the errno
		0xb8, unix.SYS_EXIT, 0, 0, 0, // mov $60, %eax
		0x0f, 0x05, // syscall
	}))
	switch {
	case err != nil:
		return err
	case !status.Exited():
		return fmt.Errorf("x32 getpid: who called it under this filter ended with %#x", status)
	}
	return answer("x32 getpid", sys.Err(unix.Errno(status.ExitStatus())))
}

// runsI386 asks for 32-bit programs by running the smallest one. 2.6 and before, where
// the kernel was built with IA32_EMULATION and it was not turned off at boot.
func runsI386() error {
	const done = 42
	status, err := runProgram("a 32-bit program", elf32([]byte{
		0xb8, 1, 0, 0, 0, // mov $1, %eax: exit is 1 on i386
		0xbb, done, 0, 0, 0, // mov $42, %ebx
		0xcd, 0x80, // int $0x80
	}))
	if err == nil && status.ExitStatus() != done {
		err = fmt.Errorf("32-bit program: %w (status %#x)", errors.ErrUnsupported, status)
	}
	return err
}

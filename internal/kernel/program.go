package kernel

import (
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

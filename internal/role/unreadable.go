package role

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// Unreadable is the path by which this process executes its own program once more.
//
// A process is dumpable from exec until it says otherwise, some milliseconds in a Go
// program: time enough for others of its uid to seize a helper that is started while
// COMMAND runs (seen, at nearly every start), and then run code beside the filter.
// What its own user may execute but not read is never dumpable (would_dump in
// fs/exec.c). For root everything is readable: see --protect-supervisor.
var Unreadable = sync.OnceValue(func() string {
	if unix.Geteuid() == 0 {
		return Self
	}
	fd, err := unreadableCopy()
	if err != nil {
		return Self
	}
	return fmt.Sprintf("/proc/self/fd/%d", fd)
})

// unreadableCopy is an O_PATH descriptor, close-on-exec and never closed. A program that
// is open for writing cannot be executed.
func unreadableCopy() (int, error) {
	self, err := os.Open(Self)
	if err != nil {
		return -1, err
	}
	defer self.Close()
	fd, err := unix.MemfdCreate("pidfd-shim", unix.MFD_CLOEXEC|unix.MFD_EXEC)
	if errors.Is(err, unix.EINVAL) { // before 6.3
		fd, err = unix.MemfdCreate("pidfd-shim", unix.MFD_CLOEXEC)
	}
	if err != nil {
		return -1, os.NewSyscallError("memfd_create", err)
	}
	file := os.NewFile(uintptr(fd), "memfd")
	defer file.Close()
	if _, err := io.Copy(file, self); err != nil {
		return -1, err
	}
	if err := file.Chmod(0o111); err != nil {
		return -1, err
	}
	path, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", fd), unix.O_PATH|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("open", err)
	}
	return path, nil
}

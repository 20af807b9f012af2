package front

import (
	"fmt"
	"os"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// Inherited are the descriptors from 3 up that came by exec and that COMMAND is
// to get.
type Inherited struct {
	Blocked uint64 // the signal mask: signal n is bit n-1

	fds []int
}

// inherited lists them: all that are not close-on-exec, for everything that this
// process opened itself is, the Go runtime's epoll and eventfd included.
func inherited() (*Inherited, error) {
	dir, err := os.Open("/proc/self/fd")
	if err != nil {
		return nil, fmt.Errorf("list the inherited descriptors: %w", err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("list the inherited descriptors: %w", err)
	}
	in := &Inherited{}
	for _, name := range names {
		fd, err := strconv.Atoi(name)
		if err != nil || fd < 3 {
			continue
		}
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil && flags&unix.FD_CLOEXEC == 0 {
			in.fds = append(in.fds, fd)
		}
	}
	return in, nil
}

// own makes fd, which was handed over by the front, ours: COMMAND does not get it.
func (in *Inherited) own(fd int) error {
	i := slices.Index(in.fds, fd)
	if i < 0 {
		return os.NewSyscallError("fcntl", unix.EBADF)
	}
	in.fds = slices.Delete(in.fds, i, i+1)
	unix.CloseOnExec(fd)
	return nil
}

// Take turns the inherited descriptor fd into a close-on-exec file of the
// caller's, who closes it. COMMAND no longer gets it, unless it is one of 0 to 2.
// The flags of the open file, which others share, stay as they are.
func (in *Inherited) Take(fd int) (*os.File, error) {
	i := slices.Index(in.fds, fd)
	if i < 0 && (fd < 0 || fd > 2) {
		return nil, fmt.Errorf("take descriptor %d: %w", fd, unix.EBADF)
	}
	own, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, fmt.Errorf("take descriptor %d: %w", fd, err)
	}
	if i >= 0 {
		in.fds = slices.Delete(in.fds, i, i+1)
		_ = unix.Close(fd)
	}
	return os.NewFile(uintptr(own), fmt.Sprintf("fd:%d", fd)), nil
}

// close lets go of all that COMMAND alone should hold, so that the reader of a
// pipe sees its end when COMMAND closes it: what was inherited, stdin and stdout.
func (in *Inherited) close() {
	for _, fd := range in.fds {
		_ = unix.Close(fd)
	}
	in.fds = nil
	redirectToNull(0, 1)
}

// CloseInherited closes, in a process of ours that was started beside COMMAND, what it has
// inherited from 3 up that is COMMAND's, and makes what it keeps close-on-exec.
func CloseInherited(keep ...int) error {
	in, err := inherited()
	if err != nil {
		return err
	}
	for _, fd := range keep {
		if err := in.own(fd); err != nil {
			return err
		}
	}
	for _, fd := range in.fds {
		_ = unix.Close(fd)
	}
	return nil
}

// DropStderr lets go of descriptor 2: a pipe that it is ends when COMMAND's own do.
func DropStderr() { redirectToNull(2) }

// redirectToNull points descriptors at /dev/null, or, where there is none (a bare
// chroot), at something that can neither be read nor written.
func redirectToNull(fds ...int) {
	null, err := unix.Open("/dev/null", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		if null, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
			return
		}
	}
	for _, fd := range fds {
		_ = unix.Dup3(null, fd, 0)
	}
	_ = unix.Close(null)
}

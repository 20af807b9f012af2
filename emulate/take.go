package emulate

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/proc"
	"github.com/pidfd-shim/pidfd-shim/internal/sys"
)

func (c *caller) copyDescriptor(fd int32, suspicious bool) (int, error) {
	if suspicious && !c.isHarmless(fd) {
		return -1, unix.EBADF
	}
	if c.tasks.Features.Getfd && c.pidfd >= 0 && (!c.private || c.sharesTable()) {
		return sys.PidfdGetfd(c.pidfd, fd)
	}
	return c.reopen(fd)
}

// harmless tells by procfs alone whether a descriptor is a pidfd or on a procfs that
// the caller has mounted. It is asked once something of a caller's has not answered:
// from then on descriptors of other kinds, which only end in EBADF, are not touched.
func (c *caller) isHarmless(fd int32) bool {
	if fd < 0 {
		return false
	}
	mount, pidfd, err := c.tasks.Proc.Place(c.tid, fd)
	if err != nil || pidfd {
		return err == nil
	}
	kind, err := c.tasks.Proc.MountType(c.tid, mount)
	return err == nil && kind == "proc"
}

// sharesTable reports whether the thread uses its process's descriptor table. Threads
// may have one of their own (unshare(CLONE_FILES)), at any time.
func (c *caller) sharesTable() bool {
	if c.tid == c.tgid {
		return true
	}
	different, errno := sys.Kcmp(c.tid, c.tgid, sys.KCMP_FILES, 0, 0)
	return errno == 0 && different == 0
}

// reopenDescriptor makes a handle without pidfd_getfd (before 5.6, a private
// descriptor table, a dead leader): a /proc/PID directory is opened again through the
// thread's fd link, a pidfd is looked up by the number in its fdinfo and looked at
// again afterwards.
func (c *caller) reopen(fd int32) (int, error) {
	if fd < 0 {
		return -1, unix.EBADF
	}
	fdinfo, err := c.tasks.Proc.FdInfo(c.tid, fd)
	switch {
	case errors.Is(err, unix.ENOENT):
		return -1, unix.EBADF
	case err != nil:
		return -1, err
	case fdinfo.Flags&unix.O_PATH != 0:
		return -1, unix.EBADF
	case fdinfo.HasPid:
		return c.reopenPidfd(fd, fdinfo)
	}
	copied, err := c.tasks.Proc.OpenFD(c.tid, fd, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NONBLOCK)
	switch {
	case err == nil:
		return copied, nil
	case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE):
		return -1, err
	case errors.Is(err, unix.ESRCH):
		return c.reopenDead(fd)
	}
	return -1, unix.EBADF // not a directory, or gone
}

// reopenDead is for what can only be opened as a path: ESRCH is the caller's end, or
// that of the process whose directory it is.
func (c *caller) reopenDead(fd int32) (int, error) {
	path, err := c.tasks.Proc.OpenFD(c.tid, fd, unix.O_PATH)
	if err != nil {
		return -1, err
	}
	defer closeFD(path)
	if !proc.IsProcfs(path) || !c.tasks.Proc.DirFromFD(path).WasProcess() {
		return -1, unix.EBADF
	}
	return deadPidfd()
}

// reopenPidfd opens another pidfd of the same process. The second look proves it: the
// caller's pidfd still has that number, so the number was its process's all along.
func (c *caller) reopenPidfd(fd int32, first proc.FdInfo) (int, error) {
	if !c.tasks.Features.PidfdOpen {
		return c.openByNumber(fd, first)
	}
	flags := 0
	if first.Flags&unix.O_EXCL != 0 {
		flags = unix.PIDFD_THREAD
	}
	if first.Pid <= 0 {
		return deadPidfd()
	}
	copied, err := unix.PidfdOpen(int(first.Pid), flags)
	if err != nil && !errors.Is(err, unix.ESRCH) {
		return -1, fmt.Errorf("open pidfd of %d: %w", first.Pid, err)
	}
	second, again := c.tasks.Proc.FdInfo(c.tid, fd)
	switch {
	case again != nil || second.Pid != first.Pid || err != nil:
		closeFD(copied)
		if again == nil && second.HasPid && second.Pid <= 0 {
			return deadPidfd()
		}
		return -1, unix.EBADF
	}
	return copied, nil
}

// openByNumber is for 5.2, whose clone gives pidfds that nothing else can make: the
// handle is a directory of our own procfs.
func (c *caller) openByNumber(fd int32, first proc.FdInfo) (int, error) {
	if first.Pid <= 0 {
		return deadPidfd()
	}
	copied, err := c.tasks.Proc.OpenDir(first.Pid)
	if err != nil {
		return deadPidfd()
	}
	second, again := c.tasks.Proc.FdInfo(c.tid, fd)
	if again != nil || second.Pid != first.Pid {
		closeFD(copied)
		return deadPidfd()
	}
	return copied, nil
}

// errReaped is how reopening says that the descriptor is good and its process gone.
var errReaped = errors.New("process was reaped")

func deadPidfd() (int, error) { return -1, errReaped }

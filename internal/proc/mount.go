package proc

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// mountDetached makes a procfs of our pid namespace that has no place in any mount
// namespace: by the mount API (5.2), else by a mount namespace that is thrown away.
// Both need CAP_SYS_ADMIN.
func mountDetached() (int, error) {
	if !mayMount() {
		return -1, os.NewSyscallError("mount procfs", unix.EPERM)
	}
	fd, err := fsmount()
	if err == nil {
		return fd, nil
	}
	return throwaway()
}

// mayMount is asked first, because an agent that has given up the right has the kernel
// log whoever tries (package confine).
func mayMount() bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData
	return unix.Capget(&header, &sets[0]) == nil && sets[0].Effective&(1<<unix.CAP_SYS_ADMIN) != 0
}

func fsmount() (int, error) {
	fs, err := unix.Fsopen("proc", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, os.NewSyscallError("fsopen(proc)", err)
	}
	defer unix.Close(fs)
	if err := unix.FsconfigCreate(fs); err != nil {
		return -1, os.NewSyscallError("fsconfig(FSCONFIG_CMD_CREATE)", err)
	}
	fd, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC)
	return fd, os.NewSyscallError("fsmount", err)
}

// throwaway mounts procfs in a mount namespace that only one thread is ever in, and
// keeps a descriptor. The thread ends with its goroutine, being locked, and the
// namespace with it; the mount lives on in the descriptor.
func throwaway() (int, error) {
	type result struct {
		fd  int
		err error
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			// The main thread cannot end. Kept busy here, it cannot be taken again.
			fd, err := throwaway()
			runtime.UnlockOSThread()
			done <- result{fd, err}
			return
		}
		fd, err := mountInOwnNamespace()
		done <- result{fd, err}
	}()
	r := <-done
	return r.fd, r.err
}

func mountInOwnNamespace() (int, error) {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return -1, os.NewSyscallError("unshare(CLONE_NEWNS)", err)
	}
	if err := keepMounts(); err != nil {
		return -1, os.NewSyscallError("mount(MS_PRIVATE)", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return -1, os.NewSyscallError("mount(proc)", err)
	}
	fd, err := openMounted("/proc")
	if err != nil {
		return -1, err
	}
	return fd, os.NewSyscallError("umount2", unix.Unmount("/proc", unix.MNT_DETACH))
}

// keepMounts lets nothing that is mounted on /proc from here on be seen in another mount
// namespace. What it goes onto is the mount at /proc, or where there is none the one that
// our root directory is on, if that is not below it (a chroot).
func keepMounts() error {
	err := unix.Mount("", "/proc", "", unix.MS_REC|unix.MS_PRIVATE, "")
	if errors.Is(err, unix.EINVAL) {
		err = unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
	}
	return err
}

// openMounted opens the procfs that is mounted at path.
func openMounted(path string) (int, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open procfs: %w", &os.PathError{Op: "open", Path: path, Err: err})
	}
	if !IsProcfs(fd) {
		unix.Close(fd)
		return -1, fmt.Errorf("open procfs: what is mounted at %s is something else", path)
	}
	return fd, nil
}

// IsProcfs tells whether fd is in a procfs, anybody's. The question goes to the
// filesystem: for a descriptor that a caller chose, one of FUSE's, the answer may
// never come.
func IsProcfs(fd int) bool {
	var st unix.Statfs_t
	return unix.Fstatfs(fd, &st) == nil && st.Type == unix.PROC_SUPER_MAGIC
}

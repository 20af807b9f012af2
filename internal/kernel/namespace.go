package kernel

import (
	"os"

	"golang.org/x/sys/unix"
)

// NSTranslate asks for the translation of pids between pid namespaces. Linux 6.11,
// and stable kernels.
func NSTranslate() error {
	ns, err := unix.Open("/proc/self/ns/pid", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return answer("open /proc/self/ns/pid", err)
	}
	defer unix.Close(ns)
	_, err = ioctlValue(ns, unix.NS_GET_TGID_FROM_PIDNS, uintptr(os.Getpid()))
	return answer("ioctl(own pid namespace, NS_GET_TGID_FROM_PIDNS)", err, unix.ENOTTY, unix.EINVAL)
}

// Openat2 asks for openat2 and its RESOLVE_ flags. Linux 5.6.
func Openat2() error {
	fd, err := unix.Openat2(unix.AT_FDCWD, "/", &unix.OpenHow{
		Flags:   unix.O_PATH | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_NO_XDEV,
	})
	if err == nil {
		unix.Close(fd)
	}
	return answer("openat2(\"/\", RESOLVE_NO_XDEV)", err)
}

// detachedProcfs asks for a procfs mount that is in no mount namespace. Linux 5.2.
// It takes CAP_SYS_ADMIN: EPERM is a lack of privilege, hence unknown.
func detachedProcfs() error {
	fs, err := unix.Fsopen("proc", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return answer("fsopen(\"proc\")", err)
	}
	defer unix.Close(fs)
	if err := unix.FsconfigCreate(fs); err != nil {
		return answer("fsconfig(proc, FSCONFIG_CMD_CREATE)", err)
	}
	mount, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, 0)
	if err == nil {
		unix.Close(mount)
	}
	return answer("fsmount(proc)", err)
}

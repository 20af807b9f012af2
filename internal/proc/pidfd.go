package proc

import (
	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/sys"
)

// Info is what the kernel says of a pidfd's process, without procfs: pids in the
// pid namespace, ids in the user namespace of the asking thread.
type Info struct {
	CgroupID                 uint64
	Pid, Tgid, PPid          int32
	RUID, RGID, EUID, EGID   uint32
	SUID, SGID, FSUID, FSGID uint32
}

// PidfdInfo asks for all of Info (6.13). A zombie answers too. ESRCH: reaped; EREMOTE,
// before 6.18 ESRCH: not visible in our pid namespace; ENOTTY: the kernel lacks it.
//
// Precondition: fd is a pidfd.
func PidfdInfo(fd int, into *Info) error {
	raw := sys.PidfdInfo{Mask: unix.PIDFD_INFO_PID | unix.PIDFD_INFO_CREDS | unix.PIDFD_INFO_CGROUPID}
	if err := sys.PidfdGetInfo(fd, &raw); err != 0 {
		if err == unix.EINVAL {
			// Files that are no pidfds, /proc directories among them, answer variously.
			err = unix.ENOTTY
		}
		return err
	}
	const needed = unix.PIDFD_INFO_PID | unix.PIDFD_INFO_CREDS
	if raw.Mask&needed != needed {
		return unix.ESRCH // a reaped process answers a request for its exit alone
	}
	*into = Info{
		CgroupID: raw.CgroupID,
		Pid:      int32(raw.Pid), Tgid: int32(raw.Tgid), PPid: int32(raw.PPid),
		RUID: raw.IDs[0], RGID: raw.IDs[1], EUID: raw.IDs[2], EGID: raw.IDs[3],
		SUID: raw.IDs[4], SGID: raw.IDs[5], FSUID: raw.IDs[6], FSGID: raw.IDs[7],
	}
	return nil
}

// PidfdEnded tells of a task that is a zombie or reaped: a third of the price of PidfdInfo.
func PidfdEnded(fd int) bool {
	for {
		polled := unix.PollFd{Fd: int32(fd), Events: unix.POLLIN}
		if n, err := sys.Poll(&polled); err != unix.EINTR {
			return n == 1 && err == 0
		}
	}
}

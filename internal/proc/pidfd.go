package proc

import (
	"structs"

	"golang.org/x/sys/unix"
)

// Info is what the kernel says of a pidfd's process, without procfs: pids in the
// pid namespace, ids in the user namespace of the asking thread.
type Info struct {
	CgroupID                 uint64
	Pid, Tgid, PPid          int32
	RUID, RGID, EUID, EGID   uint32
	SUID, SGID, FSUID, FSGID uint32
}

// The first version of struct pidfd_info, <linux/pidfd.h> of 6.13:
//
//	__u64 mask;
//	__u64 cgroupid;
//	__u32 pid, tgid, ppid, ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
//	__s32 exit_code;
type pidfdInfo struct {
	_ structs.HostLayout

	mask     uint64
	cgroupID uint64
	pid      uint32
	tgid     uint32
	ppid     uint32
	ids      [8]uint32
	exitCode int32
}

// <linux/pidfd.h>. The request holds the size of the struct; x/sys has the number
// for a later, larger one.
const (
	PIDFD_GET_INFO      = 0xc040ff0b // _IOWR(0xFF, 11, 64 bytes)
	PIDFD_INFO_PID      = 1 << 0
	PIDFD_INFO_CREDS    = 1 << 1
	PIDFD_INFO_CGROUPID = 1 << 2
)

// PidfdInfo asks for all of Info (6.13). A zombie answers too. ESRCH: reaped; EREMOTE,
// before 6.18 ESRCH: not visible in our pid namespace; ENOTTY: the kernel lacks it.
//
// Precondition: fd is a pidfd.
func PidfdInfo(fd int, into *Info) error {
	raw := pidfdInfo{mask: PIDFD_INFO_PID | PIDFD_INFO_CREDS | PIDFD_INFO_CGROUPID}
	if err := pidfdGetInfo(fd, &raw); err != 0 {
		if err == unix.EINVAL {
			// Files that are no pidfds, /proc directories among them, answer variously.
			err = unix.ENOTTY
		}
		return err
	}
	const needed = PIDFD_INFO_PID | PIDFD_INFO_CREDS
	if raw.mask&needed != needed {
		return unix.ESRCH // a reaped process answers a request for its exit alone
	}
	*into = Info{
		CgroupID: raw.cgroupID,
		Pid:      int32(raw.pid), Tgid: int32(raw.tgid), PPid: int32(raw.ppid),
		RUID: raw.ids[0], RGID: raw.ids[1], EUID: raw.ids[2], EGID: raw.ids[3],
		SUID: raw.ids[4], SGID: raw.ids[5], FSUID: raw.ids[6], FSGID: raw.ids[7],
	}
	return nil
}

// PidfdEnded tells of a task that is a zombie or reaped: a third of the price of PidfdInfo.
func PidfdEnded(fd int) bool {
	for {
		polled := unix.PollFd{Fd: int32(fd), Events: unix.POLLIN}
		if n, err := poll(&polled); err != unix.EINTR {
			return n == 1 && err == 0
		}
	}
}

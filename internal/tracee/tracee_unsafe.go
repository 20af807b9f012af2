package tracee

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"
)

// seize is PTRACE_SEIZE. It takes a mutex of the task's execve (kernel/ptrace.c,
// cred_guard_mutex), so it is no RawSyscall.
func seize(tid int32, options int) unix.Errno {
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_SEIZE, uintptr(tid), 0, uintptr(options), 0, 0)
	return errno
}

func interrupt(tid int32) unix.Errno {
	_, _, errno := unix.RawSyscall6(unix.SYS_PTRACE, unix.PTRACE_INTERRUPT, uintptr(tid), 0, 0, 0, 0)
	return errno
}

func detach(tid int32, sig unix.Signal) unix.Errno {
	_, _, errno := unix.RawSyscall6(unix.SYS_PTRACE, unix.PTRACE_DETACH, uintptr(tid), 0, uintptr(sig), 0, 0)
	return errno
}

func yield() { _, _, _ = unix.Syscall(unix.SYS_SCHED_YIELD, 0, 0, 0) }

// state is what wait finds.
type state uint8

const (
	running state = iota
	stopped
	ended
	none // no tracee
)

// Of siginfo_t as waitid fills it.
const (
	infoSize   = 128
	infoSigno  = 0
	infoCode   = 8
	infoStatus = 24

	cldTrapped = 4
)

// wait looks for a tracee of the calling thread that has stopped or ended, and leaves it
// so: the status of a stop is not needed again, and what ends a zombie has consequences.
// __WCLONE with __WNOTHREAD means tracees alone: of the thread's own children only those
// are looked at that end without SIGCHLD (eligible_child), and we have none.
func wait(kind int, tid int32, options int) (unix.WaitStatus, state) {
	var info [infoSize]byte
	options |= unix.WEXITED | unix.WSTOPPED | unix.WNOWAIT | unix.WNOTHREAD | unix.WCLONE
	for {
		_, _, errno := waitid(kind, tid, &info, options)
		switch errno {
		case 0:
		case unix.EINTR:
			continue
		default:
			return 0, none
		}
		break
	}
	le := binary.LittleEndian
	status := le.Uint32(info[infoStatus:])
	switch {
	case le.Uint32(info[infoSigno:]) == 0:
		return 0, running
	case le.Uint32(info[infoCode:]) >= cldTrapped: // or CLD_STOPPED
		return unix.WaitStatus(status<<8 | 0x7f), stopped
	}
	return 0, ended
}

// waitid may block unless it is told not to.
func waitid(kind int, tid int32, info *[infoSize]byte, options int) (r1, r2 uintptr, errno unix.Errno) {
	if options&unix.WNOHANG != 0 {
		return unix.RawSyscall6(unix.SYS_WAITID, uintptr(kind), uintptr(tid), uintptr(unsafe.Pointer(info)), uintptr(options), 0, 0)
	}
	return unix.Syscall6(unix.SYS_WAITID, uintptr(kind), uintptr(tid), uintptr(unsafe.Pointer(info)), uintptr(options), 0, 0)
}

// reap ends a dead tracee: a thread is gone then, and a process goes to its parent.
func reap(tid int32) {
	_, _, _ = unix.RawSyscall6(unix.SYS_WAIT4, uintptr(tid), 0, unix.WNOHANG|unix.WCLONE|unix.WNOTHREAD, 0, 0, 0)
}

// hasNews tells whether a child of ours has anything to be reaped, on whichever thread.
func hasNews(pid int32) bool {
	var info [infoSize]byte
	_, _, errno := waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WSTOPPED|unix.WCONTINUED|unix.WNOWAIT|unix.WNOHANG)
	return errno == 0 && binary.LittleEndian.Uint32(info[infoSigno:]) != 0
}

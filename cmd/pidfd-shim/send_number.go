package main

import (
	"errors"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/proc"
	"github.com/pidfd-shim/pidfd-shim/internal/sys"
)

// sendByNumber is for kernels that cannot send through the handle. The number is the
// target's own as long as the handle says that it was not reaped, and while it is
// seized it cannot be reaped: a dead tracee stays a zombie until its tracer waits.
func (m *message) sendByNumber(dir *os.File) error {
	runtime.LockOSThread() // ptrace answers only the thread that seized
	defer runtime.UnlockOSThread()

	handle := proc.DirFromFD(int(dir.Fd()))
	var owner proc.Status
	if err := handle.Status(&owner); err != nil {
		return explain(err)
	}
	if !handle.Has("task") {
		return errNotProcess // of a thread: /proc/PID/task/TID
	}
	if !ownNumbers(dir) {
		return errors.New("in a procfs other than /proc: its numbers are not ours")
	}
	if unix.PtraceSeize(int(owner.Pid)) == nil {
		defer letGo(owner.Pid)
	}
	var now proc.Status
	if err := handle.Status(&now); err != nil {
		return explain(err)
	}
	return explain(m.sendNumber(owner.Tgid, owner.Pid))
}

// ownNumbers tells whether the directory is in the procfs at /proc, whose numbers are
// those that our system calls take.
func ownNumbers(dir *os.File) bool {
	var theirs, ours unix.Stat_t
	return unix.Fstat(int(dir.Fd()), &theirs) == nil && unix.Stat("/proc", &ours) == nil && theirs.Dev == ours.Dev
}

func (m *message) sendNumber(tgid, tid int32) error {
	switch {
	case m.scope == unix.PIDFD_SIGNAL_THREAD && m.info == nil:
		return unix.Tgkill(int(tgid), int(tid), unix.Signal(m.sig))
	case m.scope == unix.PIDFD_SIGNAL_THREAD:
		return sys.Err(sys.RtTgsigqueueinfo(tgid, tid, m.sig, m.info))
	case m.scope == unix.PIDFD_SIGNAL_PROCESS_GROUP && m.info != nil:
		return errors.New("this kernel cannot send a value to a process group")
	case m.scope == unix.PIDFD_SIGNAL_PROCESS_GROUP:
		return unix.Kill(-int(tid), unix.Signal(m.sig)) //nolint:forbidigo // its leader is held by sendByNumber
	case m.info == nil:
		return unix.Kill(int(tgid), unix.Signal(m.sig)) //nolint:forbidigo // its owner is held by sendByNumber
	}
	return sys.Err(sys.RtSigqueueinfo(tgid, m.sig, m.info))
}

// letGo ends a seizure. A running tracee must stop first; if it stops for a signal,
// that signal is given back to it.
func letGo(tid int32) {
	if unix.PtraceInterrupt(int(tid)) != nil {
		return // dropped meanwhile: another thread of the target called execve
	}
	var status unix.WaitStatus
	for {
		_, err := unix.Wait4(int(tid), &status, unix.WALL, nil)
		if err == nil {
			break
		}
		if !errors.Is(err, unix.EINTR) {
			return
		}
	}
	if !status.Stopped() {
		return // dead: its parent hears of it now
	}
	var sig unix.Signal
	if event := uint32(status) >> 16; event == 0 {
		sig = status.StopSignal()
	}
	_ = sys.PtraceDetach(tid, sig)
}

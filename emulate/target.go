package emulate

import (
	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/proc"
	"github.com/pidfd-shim/pidfd-shim/internal/sys"
	"github.com/pidfd-shim/pidfd-shim/internal/task"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// The flags of pidfd_send_signal since 6.9 (<linux/pidfd.h>).
const (
	flagThread       = 1 << 0 // PIDFD_SIGNAL_THREAD
	flagThreadGroup  = 1 << 1 // PIDFD_SIGNAL_THREAD_GROUP
	flagProcessGroup = 1 << 2 // PIDFD_SIGNAL_PROCESS_GROUP
)

// target is whom the caller's descriptor names, held by our own copy of it.
type target struct {
	fd  int       // our copy: a pidfd or a /proc/PID directory
	dir *proc.Dir // the same descriptor as a directory, where it is one

	pid    int32 // number of the task named, in the supervisor's pid namespace; 0: none
	tgid   int32 // its thread group's
	thread bool  // names one thread: PIDFD_THREAD or PIDFD_SELF_THREAD

	reaped    bool        // no task is left
	within    []proc.NSID // the pid namespaces that it was in, where they are known
	outside   bool        // not visible from the supervisor's pid namespace
	everybody bool        // kill(-1)

	self  bool // PIDFD_SELF_*: the caller, no descriptor involved
	own   bool // the caller's process, by its number: see leftToItself
	kept  bool // fd belongs to somebody else
	known bool // fd is a pidfd or on procfs: nobody is waited for when it is closed

	info    proc.Info
	hasInfo bool // info is filled: PIDFD_GET_INFO worked
}

// close lets go of our copy.
//
// Closing a file of the caller's own FUSE server waits for that server, so it is
// watched like a read of the caller's memory.
func (t *target) close(w *shim.Worker) {
	if t.kept || t.fd <= 0 {
		return
	}
	if t.known {
		sys.Close(t.fd)
		return
	}
	w.Enter()
	defer w.Leave()
	if t.dir != nil {
		_ = t.dir.Close()
		return
	}
	_ = unix.Close(t.fd)
}

// isThread reports whether the descriptor itself names one thread (PIDFD_THREAD).
func (t *target) isThread() bool {
	if t.self || t.dir != nil || t.thread {
		return t.thread
	}
	flags, err := unix.FcntlInt(uintptr(t.fd), unix.F_GETFL, 0)
	t.thread = err == nil && flags&unix.O_EXCL != 0
	return t.thread
}

// owns reports whether the handle's process still has the number: it was not reaped.
func (t *target) owned(ts *task.View) bool {
	switch {
	case t.own: // as long as the caller waits
		return true
	case t.dir != nil:
		var stat proc.Stat
		return t.dir.Stat(&stat) == nil
	case ts.Features.Info:
		var info proc.Info
		return proc.PidfdInfo(t.fd, &info) == nil && info.Pid == t.pid
	case t.fd <= 0: // the caller itself on a kernel without pidfds
		return true
	}
	fdinfo, err := ts.Proc.FdInfoSelf(t.fd)
	return err == nil && fdinfo.Pid == t.pid
}

// targetCreds reads the ids of the task that the handle names: for a process its
// leader, which is whom the kernel asks too.
func (t *target) creds(ts *task.View) (creds, error) {
	if t.hasInfo {
		return creds{tgid: t.tgid, ruid: t.info.RUID, euid: t.info.EUID, suid: t.info.SUID}, nil
	}
	var status proc.Status
	if t.dir != nil {
		if err := t.dir.Status(&status); err != nil {
			return creds{}, err
		}
		c := credsOf(&status)
		c.tgid = t.tgid
		return c, nil
	}
	err := ts.Status(t.pid, &status)
	return credsOf(&status), err
}

// openTarget makes a handle on a process of ours by number.
func (t *target) open(ts *task.View, pid int32) error {
	t.pid, t.tgid = pid, pid
	if ts.Features.PidfdOpen {
		fd, err := unix.PidfdOpen(int(pid), 0)
		if err != nil {
			return err
		}
		t.fd = fd
		t.hasInfo = ts.Features.Info && proc.PidfdInfo(fd, &t.info) == nil
		return nil
	}
	dir, err := ts.Proc.Dir(pid)
	if err != nil {
		return err
	}
	t.dir, t.fd = dir, dir.FD()
	return nil
}

// openTask opens what stays with the task: a pidfd where the kernel has one for it.
func (t *target) openTask(ts *task.View, thread bool) error {
	switch {
	case ts.Features.PidfdOpen && !thread && t.pid == t.tgid:
		fd, err := unix.PidfdOpen(int(t.pid), 0)
		if err != nil {
			return err
		}
		t.fd, t.known = fd, true
	case ts.Features.ThreadPidfd && thread:
		fd, err := unix.PidfdOpen(int(t.pid), unix.PIDFD_THREAD)
		if err != nil {
			return err
		}
		t.fd, t.thread, t.known = fd, true, true
	default: // /proc/TID, which signals the process of that thread
		fd, err := ts.Proc.OpenDir(t.pid)
		if err != nil {
			return err
		}
		t.dir, t.fd, t.thread = ts.Proc.DirFromFD(fd), fd, thread
		return nil
	}
	t.hasInfo = ts.Features.Info && proc.PidfdInfo(t.fd, &t.info) == nil
	return nil
}

// deadUnreaped reports whether a target is a zombie as a whole. It cannot be seized, and
// the kernel drops what is sent to it (kernel/signal.c, prepare_signal): nothing must
// be sent, because its number may be another's by then.
func (t *target) deadUnreaped(ts *task.View, pid int32) bool {
	dir, err := ts.Proc.Dir(pid)
	if err != nil {
		return false
	}
	defer dir.Close()
	var stat proc.Stat
	var status proc.Status
	if dir.Stat(&stat) != nil || stat.State != 'Z' && stat.State != 'X' {
		return false
	}
	// A dead leader with other threads is no dead process.
	alone := dir.Status(&status) == nil && (status.Tgid != pid || status.Threads <= 1)
	return alone && t.owned(ts) // so it was the target's state that was read by number
}

// ignores reports whether the target drops the signal (kernel/signal.c, prepare_signal). If it
// wants the signal a moment later it finds one that came before or after: either is good.
// One that it has blocked is kept, whatever it does with it; while it waits for that in
// sigtimedwait(2) the kernel does not show it as blocked, and the signal comes as SI_QUEUE.
func (t *target) ignores(ts *task.View, sig int32) bool {
	var status proc.Status
	if ts.Status(t.pid, &status) != nil || status.TracerPid != 0 {
		return false
	}
	bit := uint64(1) << (sig - 1)
	switch {
	case status.Blocked&bit != 0:
		return false
	case status.Ignored&bit != 0:
		return true
	}
	return status.Caught&bit == 0 && (bit&ignoredByDefault != 0 || !mayBeForced(&status))
}

// ignoredByDefault is SIG_KERNEL_IGNORE_MASK, <linux/signal.h>.
const ignoredByDefault = 1<<(unix.SIGCONT-1) | 1<<(unix.SIGCHLD-1) | 1<<(unix.SIGWINCH-1) | 1<<(unix.SIGURG-1)

// initOfOwn reports whether the target is the init of the caller's own pid namespace: it
// is spared what its namespace's members send, but not what an ancestor sends.
func (t *target) isInitOf(ts *task.View, c *caller) bool {
	if !c.nested || t.tgid == 0 {
		return false
	}
	var status proc.Status
	if ts.Status(t.tgid, &status) != nil || status.NSpids == 0 || status.NSpid[status.NSpids-1] != 1 {
		return false
	}
	ns, err := proc.NSOf(c.pidns)
	if err != nil {
		return false
	}
	dir, err := ts.Proc.Dir(t.tgid)
	if err != nil {
		return false
	}
	defer dir.Close()
	theirs, err := dir.NS("pid")
	return err == nil && theirs == ns
}

// sum is the result of a group after one more member: of a process group success if
// anybody got the signal, else the last error; of everybody the last result that was not
// EPERM (kernel/signal.c, __kill_pgrp_info and kill_something_info, 6.18). A denial by a
// rule counts as the kernel's would.
func (t *target) sum(so, errno unix.Errno, first bool) unix.Errno {
	switch {
	case !t.everybody && (first || so != 0):
		return errno
	case !t.everybody:
		return 0
	case errno == 0 || errno == unix.EAGAIN || errno == unix.EINVAL:
		return errno
	case first:
		return 0
	}
	return so
}

// mayBeForced is false for the init of a pid namespace below ours: what is sent for a
// descriptor does not come from an ancestor, so it would be dropped (kernel/signal.c,
// sig_task_ignored).
func mayBeForced(s *proc.Status) bool {
	return s.NSpids == 1 || s.NSpids > 1 && s.NSpid[s.NSpids-1] != 1
}

// scope is the flags' word, else what the descriptor names.
func (a *attempt) scope() scope {
	switch {
	case a.req.flags&flagProcessGroup != 0:
		return scopeGroup
	case a.req.flags&flagThreadGroup != 0:
		return scopeProcess
	case a.req.flags&flagThread != 0, a.target.isThread():
		return scopeThread
	}
	return scopeProcess
}

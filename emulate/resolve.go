package emulate

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/proc"
	"github.com/pidfd-shim/pidfd-shim/internal/sys"
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

// resolveTarget is checks 3 and 4. It takes the descriptor exactly once: policy, checks
// and sending all use the copy, whatever the caller's other threads do to their table.
func (h *SendSignal) resolveTarget(a *attempt) (unix.Errno, error) {
	fd := a.req.pidfd
	if fd < 0 && h.Rules.SelfThread != 0 && (fd == h.Rules.SelfThread || fd == h.Rules.SelfGroup) {
		return 0, h.resolveSelf(a, fd == h.Rules.SelfThread)
	}
	copied, errno, err := h.takeDescriptor(a)
	if errno != 0 || err != nil {
		return errno, err
	}
	if a.target.reaped {
		return 0, nil
	}
	a.target.fd = copied
	return 0, nil
}

// resolveSelf makes the caller its own target: in the supervisor's hands the special
// values would mean the supervisor.
func (h *SendSignal) resolveSelf(a *attempt, thread bool) (err error) {
	if a.caller, err = h.callers.sure(h, a.call.Tid); err != nil {
		return err
	}
	t := &a.target
	t.self, t.thread, t.fd, t.kept = true, thread, a.caller.pidfd, true
	t.pid, t.tgid = a.caller.tgid, a.caller.tgid
	if thread {
		t.pid = a.caller.tid
	}
	a.call.Record.TargetPid = t.pid
	if thread && !h.Features.ThreadPidfd {
		t.dir = a.caller.dir
	}
	if thread || !h.Features.PidfdOpen {
		return nil
	}
	fd, err := unix.PidfdOpen(int(t.pid), 0)
	if err != nil {
		return fmt.Errorf("open pidfd of the caller's process %d: %w", t.pid, err)
	}
	t.fd, t.kept = fd, false
	return nil
}

// takeDescriptor copies the calling thread's descriptor into the supervisor.
func (h *SendSignal) takeDescriptor(a *attempt) (int, unix.Errno, error) {
	if fd, ours, err := h.takeOurs(a); ours || err != nil {
		return fd, 0, err
	}
	for try := 0; ; try++ {
		fd, err := h.copyDescriptor(a.caller, a.req.pidfd)
		switch {
		case err == nil:
			return fd, 0, nil
		case errors.Is(err, unix.EBADF):
			return -1, unix.EBADF, nil
		case errors.Is(err, errReaped):
			a.target.reaped = true
			return -1, 0, nil
		case errors.Is(err, unix.ESRCH) && try == 0: // the entry was an earlier thread's
			h.callers.drop(a.caller)
			if a.caller, err = h.callers.get(h, a.call.Tid); err != nil {
				return -1, 0, err
			}
		default:
			return -1, 0, fmt.Errorf("take descriptor %d of thread %d: %w", a.req.pidfd, a.call.Tid, err)
		}
	}
}

func (h *SendSignal) copyDescriptor(c *caller, fd int32) (int, error) {
	if h.Suspicious() && !h.harmless(c, fd) {
		return -1, unix.EBADF
	}
	if h.Features.Getfd && c.pidfd >= 0 && (!c.private || h.sharesTable(c)) {
		return sys.PidfdGetfd(c.pidfd, fd)
	}
	return h.reopenDescriptor(c, fd)
}

// harmless tells by procfs alone whether a descriptor is a pidfd or on a procfs that
// the caller has mounted. It is asked once something of a caller's has not answered:
// from then on descriptors of other kinds, which only end in EBADF, are not touched.
func (h *SendSignal) harmless(c *caller, fd int32) bool {
	if fd < 0 {
		return false
	}
	info, err := h.Proc.FdInfo(c.tid, fd)
	if err != nil || info.HasPid {
		return err == nil
	}
	kind, err := h.Proc.MountType(c.tid, info.MountID)
	return err == nil && kind == "proc"
}

// sharesTable tells whether the thread uses its process's descriptor table. Threads
// may have one of their own (unshare(CLONE_FILES)), at any time.
func (h *SendSignal) sharesTable(c *caller) bool {
	if c.tid == c.tgid {
		return true
	}
	different, errno := sys.Kcmp(c.tid, c.tgid, sys.KCMP_FILES, 0, 0)
	return errno == 0 && different == 0
}

// identify is checks 4 and 5 on our copy, and finds the target's number. The kind is
// asked before anything else is done with a descriptor that a hostile caller chose: an
// ioctl or fstatfs on a file of its own FUSE server would wait for that server.
func (h *SendSignal) identify(a *attempt) (unix.Errno, error) {
	if a.target.self || a.target.reaped {
		return 0, nil
	}
	errno, err := h.identifyCopy(a)
	a.target.known = errno == 0 && err == nil
	a.call.Record.TargetPid = a.target.pid
	return errno, err
}

func (h *SendSignal) identifyCopy(a *attempt) (unix.Errno, error) {
	if !h.Features.SendSignal {
		return h.identifyUnasked(a)
	}
	t := &a.target
	// Signal 0 with an si_code that nobody may use sends nothing and tells how far the checks got.
	// An unreadable siginfo would tell the same, but costs a fault.
	switch errno := sys.PidfdSendSignal(t.fd, 0, &h.zero, 0); errno {
	case unix.EPERM, 0: // it got as far as the siginfo: check 10
	case unix.EBADF:
		return unix.EBADF, nil
	case unix.EINVAL: // check 6 as the kernel sees it for the supervisor
		t.outside = true
		return 0, nil
	default:
		return 0, fmt.Errorf("ask the kernel for a descriptor's kind: %w", errno)
	}
	if h.Features.Info {
		switch err := proc.PidfdInfo(t.fd, &t.info); {
		case err == nil:
			t.hasInfo = true
			t.pid, t.tgid = t.info.Pid, t.info.Tgid
			a.call.Record.TargetIDs = shim.IDs{Known: true, Tgid: t.tgid, UID: t.info.RUID}
			return 0, nil
		case errors.Is(err, unix.ESRCH), errors.Is(err, unix.EREMOTE):
			t.reaped = true
			return 0, nil
		}
	}
	if proc.IsProcfs(t.fd) {
		return 0, h.identifyDir(a)
	}
	return 0, h.identifyPidfd(t)
}

// identifyUnasked is for kernels without the call, whose callers can only have
// /proc/PID directories, or from 5.2 pidfds of clone.
func (h *SendSignal) identifyUnasked(a *attempt) (unix.Errno, error) {
	t := &a.target
	flags, err := unix.FcntlInt(uintptr(t.fd), unix.F_GETFL, 0)
	if err != nil || flags&unix.O_PATH != 0 {
		return unix.EBADF, nil
	}
	a.call.Worker().Enter()
	procfs := proc.IsProcfs(t.fd)
	a.call.Worker().Leave()
	if procfs {
		switch errno := h.dirKind(t); errno {
		case 0:
			return 0, h.identifyDir(a)
		case unix.ESRCH:
			t.reaped = true
			return 0, nil
		default:
			return errno, nil
		}
	}
	fdinfo, err := h.Proc.FdInfoSelf(t.fd)
	if err == nil && !fdinfo.HasPid {
		return unix.EBADF, nil
	}
	return 0, h.identifyPidfd(t)
}

// identifyPidfd finds the number of a pidfd by its fdinfo (before 6.13).
func (h *SendSignal) identifyPidfd(t *target) error {
	fdinfo, err := h.Proc.FdInfoSelf(t.fd)
	if err != nil {
		return fmt.Errorf("read fdinfo of our own descriptor: %w", err)
	}
	return h.identifyByFdinfo(t, fdinfo)
}

// identifyByFdinfo reads a pidfd's "Pid:", which is -1 for a reaped task and 0 for one
// that our procfs cannot number.
func (h *SendSignal) identifyByFdinfo(t *target, fdinfo proc.FdInfo) error {
	t.thread = fdinfo.Flags&unix.O_EXCL != 0
	switch {
	case fdinfo.Pid < 0:
		t.reaped = true
		return nil
	case fdinfo.Pid == 0:
		t.outside = true
		return nil
	}
	t.pid, t.tgid = fdinfo.Pid, fdinfo.Pid
	if !t.thread {
		return nil
	}
	var status proc.Status
	err := h.statusOf(t.pid, &status)
	switch {
	case errors.Is(err, unix.ESRCH):
		t.reaped = true
		return nil
	case err != nil:
		return err
	}
	t.tgid = status.Tgid
	return nil
}

// statusOf reads a status by number. Precondition: the caller verifies afterwards,
// through a handle, that the number still means the same task.
func (h *SendSignal) statusOf(pid int32, into *proc.Status) error {
	dir, err := h.Proc.Dir(pid)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Status(into)
}

// isThread tells whether the descriptor itself names one thread (PIDFD_THREAD).
func (t *target) isThread() bool {
	if t.self || t.dir != nil || t.thread {
		return t.thread
	}
	flags, err := unix.FcntlInt(uintptr(t.fd), unix.F_GETFL, 0)
	t.thread = err == nil && flags&unix.O_EXCL != 0
	return t.thread
}

// scope says whom of the target a signal goes to.
type scope uint8

const (
	scopeProcess scope = iota
	scopeThread
	scopeGroup
)

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

// group tells without looking at the descriptor whether a process group is meant.
func (a *attempt) group() bool { return a.req.flags&flagProcessGroup != 0 }

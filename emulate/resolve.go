package emulate

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/internal/family"
	"github.com/pidfd-shim/pidfd-shim/internal/proc"
	"github.com/pidfd-shim/pidfd-shim/internal/sys"
	"github.com/pidfd-shim/pidfd-shim/internal/task"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// resolver finds out what a call's checks and route depend on, each thing once: the caller,
// whom it names, the siginfo.
type resolver struct {
	tasks   *task.View
	plan    *plan
	callers *callerCache
	memory  *siginfoMemory
	judge   *judge
	rights  *rights

	family     *family.Table
	suspicious func() bool
	observed   bool
	zero       [arch.SiginfoSize]byte // stays so
}

// resolve stops at the first check that fails, in the kernel's order: check.go has the list.
func (r *resolver) resolve(a *attempt) (err error) {
	if a.req.byNumber() {
		if a.caller, err = r.callers.sure(a.call.Tid); err == nil && !r.leftToItself(a) {
			a.pendingErrno, err = r.resolveNumber(a)
		}
		return err
	}
	flags := a.req.flags
	if flags&^r.plan.rules.Flags != 0 || flags&(flags-1) != 0 {
		a.pendingErrno = unix.EINVAL
		return nil
	}
	if a.caller, err = r.callers.get(a.call.Tid); err != nil {
		return err
	}
	a.pendingErrno, err = r.resolveTarget(a)
	switch {
	case err != nil || a.pendingErrno != 0:
		return err
	case r.kernelChecks(a):
		return r.resolveForKernel(a)
	}
	return r.resolveForUs(a)
}

// resolveForUs finds out all that the checks look at.
func (r *resolver) resolveForUs(a *attempt) (err error) {
	if a.pendingErrno, err = r.identify(a); err != nil || a.pendingErrno != 0 {
		return err
	}
	if a.pendingErrno, err = r.checkAncestry(a); err != nil || a.pendingErrno != 0 {
		return err
	}
	if a.req.given && !a.infoRead {
		a.pendingErrno, err = r.memory.readSiginfo(a)
	}
	return err
}

// resolveForKernel reads the siginfo alone: the kernel makes every check as it sends.
// Where the siginfo cannot be sent as it is, whom the descriptor names matters: to
// the order of the checks, and for codes that a caller may use for itself only.
func (r *resolver) resolveForKernel(a *attempt) (err error) {
	if !a.req.given {
		a.kernelChecks = true
		return nil
	}
	errno, err := r.memory.readSiginfo(a)
	if err != nil {
		return err
	}
	a.infoRead = true
	if errno == 0 && !kernelOnly(a.info.Code()) {
		a.kernelChecks = true
		return nil
	}
	if err := r.resolveForUs(a); err != nil || a.pendingErrno != 0 {
		return err
	}
	a.pendingErrno = errno
	return nil
}

// kernelChecks reports whether the kernel would judge the caller exactly as it judges the
// supervisor: the same namespaces, and in them the capability that decides every case.
// All that is left to the shim is to send in its name.
func (r *resolver) kernelChecks(a *attempt) bool {
	return r.plan.mode == ModeForward && (a.policy == nil || a.fixed) && a.logs == nil && r.plan.path(a) == shim.PathForward &&
		!r.observed && !r.plan.restarts && r.rights.areOurs(a)
}

// resolveTarget is checks 3 and 4. It takes the descriptor exactly once: policy, checks
// and sending all use the copy, whatever the caller's other threads do to their table.
func (r *resolver) resolveTarget(a *attempt) (unix.Errno, error) {
	fd := a.req.pidfd
	if fd < 0 && r.plan.rules.SelfThread != 0 && (fd == r.plan.rules.SelfThread || fd == r.plan.rules.SelfGroup) {
		return 0, r.resolveSelf(a, fd == r.plan.rules.SelfThread)
	}
	copied, errno, err := r.takeDescriptor(a)
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
func (r *resolver) resolveSelf(a *attempt, thread bool) (err error) {
	if a.caller, err = r.callers.sure(a.call.Tid); err != nil {
		return err
	}
	t := &a.target
	t.self, t.thread, t.fd, t.kept = true, thread, a.caller.pidfd, true
	t.pid, t.tgid = a.caller.tgid, a.caller.tgid
	if thread {
		t.pid = a.caller.tid
	}
	a.call.Record.TargetPid = t.pid
	if thread && !r.tasks.Features.ThreadPidfd {
		t.dir = a.caller.dir
	}
	if thread || !r.tasks.Features.PidfdOpen {
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
func (r *resolver) takeDescriptor(a *attempt) (int, unix.Errno, error) {
	if fd, ours, err := r.takeOurs(a); ours || err != nil {
		return fd, 0, err
	}
	for try := 0; ; try++ {
		fd, err := a.caller.copyDescriptor(a.req.pidfd, r.suspicious())
		switch {
		case err == nil:
			return fd, 0, nil
		case errors.Is(err, unix.EBADF):
			return -1, unix.EBADF, nil
		case errors.Is(err, errReaped):
			a.target.reaped = true
			return -1, 0, nil
		case errors.Is(err, unix.ESRCH) && try == 0: // the entry was an earlier thread's
			r.callers.drop(a.caller)
			if a.caller, err = r.callers.get(a.call.Tid); err != nil {
				return -1, 0, err
			}
		default:
			return -1, 0, fmt.Errorf("take descriptor %d of thread %d: %w", a.req.pidfd, a.call.Tid, err)
		}
	}
}

// takeOurs is takeDescriptor for one of ours: its target's /proc directory, which every kernel
// takes for a descriptor of the process.
func (r *resolver) takeOurs(a *attempt) (fd int, ours bool, err error) {
	if r.family == nil {
		return -1, false, nil
	}
	m, ours, err := r.family.Find(a.call.Tid, a.req.pidfd)
	a.target.reaped, a.target.thread, a.target.within = m.Reaped, m.Thread, m.Within
	return m.Dir, ours, err
}

// identify is checks 4 and 5 on our copy, and finds the target's number. The kind is
// asked before anything else is done with a descriptor that a hostile caller chose: an
// ioctl or fstatfs on a file of its own FUSE server would wait for that server.
func (r *resolver) identify(a *attempt) (unix.Errno, error) {
	if a.target.self || a.target.reaped {
		return 0, nil
	}
	errno, err := r.identifyCopy(a)
	a.target.known = errno == 0 && err == nil
	a.call.Record.TargetPid = a.target.pid
	return errno, err
}

func (r *resolver) identifyCopy(a *attempt) (unix.Errno, error) {
	if !r.tasks.Features.SendSignal {
		return r.identifyUnasked(a)
	}
	t := &a.target
	// Signal 0 with an si_code that nobody may use sends nothing and tells how far the checks got.
	// An unreadable siginfo would tell the same, but costs a fault.
	switch errno := sys.PidfdSendSignal(t.fd, 0, &r.zero, 0); errno {
	case unix.EPERM, 0: // it got as far as the siginfo: check 10
	case unix.EBADF:
		return unix.EBADF, nil
	case unix.EINVAL: // check 6 as the kernel sees it for the supervisor
		t.outside = true
		return 0, nil
	default:
		return 0, fmt.Errorf("ask the kernel for a descriptor's kind: %w", errno)
	}
	if r.tasks.Features.Info {
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
		return 0, r.identifyDir(a)
	}
	return 0, t.identifyPidfd(r.tasks)
}

// identifyUnasked is for kernels without the call, whose callers can only have
// /proc/PID directories, or from 5.2 pidfds of clone.
func (r *resolver) identifyUnasked(a *attempt) (unix.Errno, error) {
	t := &a.target
	flags, err := unix.FcntlInt(uintptr(t.fd), unix.F_GETFL, 0)
	if err != nil || flags&unix.O_PATH != 0 {
		return unix.EBADF, nil
	}
	a.call.Worker().Enter()
	procfs := proc.IsProcfs(t.fd)
	a.call.Worker().Leave()
	if procfs {
		switch errno := t.dirKind(r.tasks); errno {
		case 0:
			return 0, r.identifyDir(a)
		case unix.ESRCH:
			t.reaped = true
			return 0, nil
		default:
			return errno, nil
		}
	}
	fdinfo, err := r.tasks.Proc.FdInfoSelf(t.fd)
	if err == nil && !fdinfo.HasPid {
		return unix.EBADF, nil
	}
	return 0, t.identifyPidfd(r.tasks)
}

// identifyDir finds whom a procfs directory names. The directory may belong to any
// procfs mount, whose numbers are those of its own pid namespace: a "1" read there is
// not our 1. Its link text is never looked at, only files reached through the very
// descriptor, which dies with the process.
func (r *resolver) identifyDir(a *attempt) error {
	t := &a.target
	t.dir = r.tasks.Proc.DirFromFD(t.fd)
	var status proc.Status
	switch err := t.dir.Status(&status); {
	case errors.Is(err, unix.ESRCH), errors.Is(err, unix.ENOENT):
		t.reaped = true
		return nil
	case err != nil:
		return fmt.Errorf("read a /proc directory: %w", err)
	}
	return t.numberDir(r.tasks, &status)
}

// checkAncestry is check 6: the target's pid namespace is the caller's or below it.
// Reaped targets have none to ask for from here; the kernel still knows.
func (r *resolver) checkAncestry(a *attempt) (unix.Errno, error) {
	t := &a.target
	switch {
	case t.self:
		return 0, nil
	case t.outside:
		return unix.EINVAL, nil
	case a.caller.nested && t.reaped && t.within != nil:
		if own, err := proc.NSOf(a.caller.pidns); err != nil || !slices.Contains(t.within, own) {
			return unix.EINVAL, err
		}
		return 0, nil
	case !a.caller.nested, t.pid == 0:
		return 0, nil
	}
	below, err := r.tasks.VisibleFrom(a.caller.pidns, t.pid)
	switch {
	case errors.Is(err, unix.ESRCH), errors.Is(err, unix.ENOENT):
		return 0, nil // died meanwhile: check 11 says so
	case err != nil:
		return 0, fmt.Errorf("compare pid namespaces: %w", err)
	case !below:
		return unix.EINVAL, nil
	}
	return 0, nil
}

package emulate

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/internal/proc"
	"github.com/pidfd-shim/pidfd-shim/internal/sys"
	"github.com/pidfd-shim/pidfd-shim/policy"
)

// resolveNumber makes a handle of the number that one of the older calls names its
// target by. The kernel looks it up at some moment of the call; this is that moment, and
// the handle stays with whom it meant then.
//
// The order of the checks is that of kernel/signal.c, 6.18: rt_sigqueueinfo and
// rt_tgsigqueueinfo read the siginfo first; the calls for threads then refuse numbers
// below 1; a number without a task is ESRCH after si_code has been judged.
func (r *resolver) resolveNumber(a *attempt) (unix.Errno, error) {
	if a.req.given {
		errno, err := r.memory.readSiginfo(a)
		if errno != 0 || err != nil {
			return errno, err
		}
	}
	q := &a.req
	switch q.what {
	case arch.Tgkill, arch.RtTgsigqueueinfo:
		if q.tgid <= 0 || q.pid <= 0 {
			return unix.EINVAL, nil
		}
	case arch.Tkill:
		if q.pid <= 0 {
			return unix.EINVAL, nil
		}
	}
	if a.group() {
		return r.resolveGroup(a)
	}
	err := r.openNumbered(a)
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.ENOENT) {
		a.target.reaped = true
		return 0, nil
	}
	return 0, err
}

// leftToItself reports whether a process signals itself (raise, pthread_kill, abort, Go's own
// preemption) and the policy allows it. Whom the number means cannot change while the caller
// waits in the call, so the kernel may run it, and need not be told more. A process's other
// threads are named by tgkill with their process alone: the number of a thread that has ended
// may be anybody's.
func (r *resolver) leftToItself(a *attempt) bool {
	c, q := a.caller, &a.req
	if !r.plan.continues || c.number <= 0 || !r.plan.leavesSiginfo(a) {
		return false
	}
	switch q.what {
	case arch.Tgkill, arch.RtTgsigqueueinfo:
		if q.tgid != c.number {
			return false
		}
	case arch.Tkill:
		if q.pid != c.number || c.tid != c.tgid {
			return false
		}
	default:
		if q.pid != c.number {
			return false
		}
	}
	t := &a.target
	t.own, t.pid, t.tgid = true, c.tgid, c.tgid
	if r.judge.allowed(a) != 0 { // what the kernel says first is to be found out
		*t = target{}
		a.query, a.cut = policy.QueryOf(q.what, a.call.ABI, a.call.Args), nil
		return false
	}
	a.call.Record.TargetPid = c.tgid
	r.look(a)
	return true
}

// openNumbered opens the task and sees that the handle is of the one that has the number
// in the caller's namespace.
func (r *resolver) openNumbered(a *attempt) error {
	pid, err := a.caller.pidFromNS(a.req.pid)
	if err != nil {
		return err
	}
	if done, err := r.openAtOnce(a, pid); done {
		return err
	}
	t := &a.target
	var status proc.Status
	if err := r.tasks.Status(pid, &status); err != nil {
		return err
	}
	thread := a.req.flags&flagThread != 0
	if thread && a.req.tgid != 0 {
		tgid, err := a.caller.pidFromNS(a.req.tgid)
		if err != nil {
			return err
		}
		if tgid != status.Tgid {
			return unix.ESRCH
		}
	}
	t.pid, t.tgid = pid, status.Tgid
	a.call.Record.TargetPid = pid
	if err := t.openTask(r.tasks, thread); err != nil {
		return err
	}
	again, err := a.caller.pidFromNS(a.req.pid)
	if err != nil || again != pid || !t.owned(r.tasks) {
		t.close(a.call.Worker())
		t.fd, t.dir = 0, nil
		return unix.ESRCH
	}
	return nil
}

// openAtOnce does it by the handle alone, which is of whoever has the number at that moment
// (6.13). False: another way is needed.
func (r *resolver) openAtOnce(a *attempt, pid int32) (done bool, err error) {
	thread, flags := a.req.flags&flagThread != 0, 0
	if thread {
		flags = unix.PIDFD_THREAD
	}
	if a.caller.nested || !r.tasks.Features.PidfdOpen || !r.tasks.Features.Info || thread && !r.tasks.Features.ThreadPidfd {
		return false, nil
	}
	t := &a.target
	fd, err := unix.PidfdOpen(int(pid), flags)
	if errors.Is(err, unix.ESRCH) {
		return true, err
	}
	if err != nil { // kill(2) takes the number of any thread
		return false, nil
	}
	if err = proc.PidfdInfo(fd, &t.info); err == nil && thread && a.req.tgid != 0 && a.req.tgid != t.info.Tgid {
		err = unix.ESRCH
	}
	if err != nil {
		sys.Close(fd)
		return true, err
	}
	t.fd, t.known, t.hasInfo, t.thread, t.pid, t.tgid = fd, true, true, thread, t.info.Pid, t.info.Tgid
	a.call.Record.TargetPid = pid
	return true, nil
}

// resolveGroup finds which processes kill(2) means by 0, -1 or a negative number: those
// of a group, as the supervisor numbers it, or all.
func (r *resolver) resolveGroup(a *attempt) (unix.Errno, error) {
	t := &a.target
	switch {
	case a.req.pid == -1:
		t.everybody = true
	case a.req.pid == 0:
		var stat proc.Stat
		if err := a.caller.dir.Stat(&stat); err != nil {
			return 0, fmt.Errorf("read the process group of thread %d: %w", a.call.Tid, err)
		}
		t.pid = stat.Pgrp
	case a.req.pid == -1<<31: // has no positive number: kernel/signal.c, kill_something_info
		t.reaped = true
		return unix.ESRCH, nil
	case a.caller.nested:
		var err error
		t.pid, err = r.groupHere(a, -a.req.pid)
		return 0, err
	default:
		t.pid = -a.req.pid
	}
	return 0, nil
}

// groupHere translates a group's number: by its leader, who has the same, or where that was
// reaped by the list of numbers of a member. 0: it has no member.
func (r *resolver) groupHere(a *attempt, group int32) (found int32, err error) {
	c := a.caller
	if pid, err := c.pidFromNS(group); err == nil && r.tasks.Features.NSTranslate {
		return pid, nil
	}
	looks, seen := 0, map[int32]bool{}
	listed := r.tasks.Proc.EachPid(func(pid int32) bool {
		if err = a.spend(&looks, quickLooks); err != nil {
			return false
		}
		if pgrp, known := r.tasks.Group(pid); known && seen[pgrp] {
			return true
		} else if known {
			seen[pgrp] = true
		}
		var status proc.Status
		if r.tasks.Status(pid, &status) != nil || c.depth == 0 || status.NSpgids < c.depth || status.NSpgid[c.depth-1] != group {
			return true
		}
		if c.sees(pid) {
			found = status.NSpgid[0]
		}
		return found == 0
	})
	return found, errors.Join(err, listed)
}

// look reads what a trace line shows of a call that the kernel will run: for the eye
// only, nothing is decided by it.
func (r *resolver) look(seen *attempt) {
	if !r.observed && seen.logs == nil || r.suspicious() {
		return
	}
	a := attempt{call: seen.call, backend: seen.backend, req: seen.req, logs: seen.logs, query: seen.query}
	defer a.target.close(a.call.Worker())
	if a.req.given {
		_, _ = r.memory.readSiginfo(&a)
	}
	r.lookResolve(&a)
	if a.logs != nil {
		r.judge.noteLate(&a)
	}
}

// lookResolve finds out for the eye whom a call names that the kernel will run.
func (r *resolver) lookResolve(a *attempt) {
	var err error
	if a.caller, err = r.callers.get(a.call.Tid); err != nil {
		return
	}
	if a.req.byNumber() {
		a.pendingErrno, err = r.resolveNumber(a)
		if a.group() && a.target.pid > 0 { // the leader stands for the group
			a.call.Record.TargetPid = a.target.pid
		}
	} else if a.pendingErrno, err = r.resolveTarget(a); a.pendingErrno == 0 && err == nil {
		a.pendingErrno, err = r.identify(a)
	}
	if err != nil {
		a.pendingErrno = unix.ENOSYS // whatever it would be: nothing is known
	}
}

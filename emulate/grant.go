package emulate

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/arch/abi"
	"github.com/pidfd-shim/pidfd-shim/internal/proc"
	"github.com/pidfd-shim/pidfd-shim/internal/sys"
	"github.com/pidfd-shim/pidfd-shim/internal/task"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// Grants handles the calls that get a handle, under a policy that names them: judged by their
// target, where their last check is (kernel/pid.c, pidfd_create; pidfd_getfd), and then made
// by the caller.
type Grants struct {
	handler *SendSignal // whose worker it is
	tasks   *task.View
	own     *Descriptors // nil where the kernel has descriptors
	root    int32
}

// Grants is the handler of those calls for the same worker.
func (h *SendSignal) Grants() *Grants {
	g := &Grants{handler: h, tasks: h.tasks, root: h.Root}
	if h.Family != nil {
		g.own = h.Descriptors()
	}
	return g
}

// Handle is a call of pidfd_open or pidfd_getfd.
func (g *Grants) Handle(c *shim.Call) shim.Verdict {
	h := g.handler
	if abi.Of(c.ABI).Mark != 0 && !g.tasks.Features.Marked {
		return shim.Fail(unix.ENOSYS)
	}
	h.begin()
	defer h.busy.Store(false)
	h.Ledger.Heard(c)
	a := &h.current
	*a = attempt{call: c, backend: h.Backend, req: requestOf(c), policy: h.Policy.Current()}
	if a.policy != nil && !a.policy.Covers(c.What) { // any more
		a.policy = nil
	}
	v := g.handle(a)
	if a.mustLetGo {
		v.Release = h
	}
	return v
}

func (g *Grants) handle(a *attempt) shim.Verdict {
	h := g.handler
	h.judge.watchOnly(a)
	if errno, denied := h.judge.byRegisters(a); denied {
		return h.fail(a, errno)
	}
	if (a.policy == nil || a.fixed) && a.logs == nil {
		return g.grant(a)
	}
	defer h.end(a)
	errno, err := g.resolve(a)
	if err != nil {
		if v, ended := h.unserved(a.call, err); ended {
			return v
		}
		errno = unix.ENOSYS
	}
	if errno != 0 {
		a.pendingErrno = errno
		return h.fail(a, errno)
	}
	denied := h.judge.allowed(a)
	if a.cut != nil {
		return cutShort(a.cut)
	}
	if denied != 0 {
		return h.fail(a, denied)
	}
	a.call.BeforeSend()
	if h.Backend.Blocked(a.call) != nil {
		return shim.Gone()
	}
	return g.grant(a)
}

// resolve finds whom the call is about, and what it fails with before anybody is judged.
func (g *Grants) resolve(a *attempt) (unix.Errno, error) {
	if a.req.what == arch.PidfdGetfd {
		return g.resolveGetfd(a)
	}
	flags, thread := a.call.Args.Uint(1), a.req.flags&flagThread != 0
	known := g.own != nil || g.tasks.Features.ThreadPidfd
	if flags&^(unix.PIDFD_NONBLOCK|unix.PIDFD_THREAD) != 0 || a.req.pid <= 0 || thread && !known {
		return unix.EINVAL, nil
	}
	var err error
	if a.caller, err = g.handler.callers.sure(a.call.Tid); err != nil {
		return 0, err
	}
	switch err := g.handler.resolver.openNumbered(a); {
	case errors.Is(err, unix.ESRCH), errors.Is(err, unix.ENOENT):
		return unix.ESRCH, nil
	case err != nil:
		return 0, err
	case !thread && a.target.pid != a.target.tgid:
		return g.noLeader(a.target.pid), nil
	}
	return 0, nil
}

// noLeader is what the number of a thread that is no leader gets: EINVAL up to 6.12, which the
// kernel says.
func (g *Grants) noLeader(tid int32) unix.Errno {
	if g.own != nil || !g.tasks.Features.PidfdOpen {
		return unix.ENOENT
	}
	fd, err := unix.PidfdOpen(int(tid), 0)
	if err == nil { // it is another's by now
		sys.Close(fd)
		return unix.ESRCH
	}
	return errnoOf(err)
}

// resolveGetfd takes the descriptor that the call names once. A directory of /proc will not do.
func (g *Grants) resolveGetfd(a *attempt) (unix.Errno, error) {
	if a.call.Args.Uint(2) != 0 {
		return unix.EINVAL, nil
	}
	h := g.handler
	var err error
	if a.caller, err = h.callers.get(a.call.Tid); err != nil {
		return 0, err
	}
	copied, errno, err := h.resolver.takeDescriptor(a)
	if errno != 0 || err != nil {
		return errno, err
	}
	a.target.fd = copied
	if errno, err = h.resolver.identify(a); errno != 0 || err != nil {
		return errno, err
	}
	switch t := &a.target; {
	case g.own == nil && t.dir != nil:
		return unix.EBADF, nil
	case t.reaped:
		return unix.ESRCH, nil
	}
	return 0, nil
}

// grant has the caller make its call. Nothing that anybody else could change may make another
// target of the one that was judged.
func (g *Grants) grant(a *attempt) shim.Verdict {
	h := g.handler
	judged := !h.Unsafe && a.memberwise()
	switch {
	case g.own != nil && a.req.what == arch.PidfdOpen:
		return g.own.open(a)
	case g.own != nil:
		return shim.Fail(unix.ENOSYS)
	case h.Continues && (!judged || g.means(a)):
		a.call.Record.Path = shim.PathContinue
		return shim.Pass()
	case a.req.what == arch.PidfdOpen:
		target := a.target.pid
		if !judged || g.means(a) {
			target = 0
		}
		if v, ok := h.byCaller.sendItselfTo(a, target); ok {
			return v
		}
	}
	h.Log.Error("cannot keep whom a handle is to: the call gets ENOSYS", "call", a.req.what, "tid", a.call.Tid, "pid", a.target.pid)
	return shim.Fail(unix.ENOSYS)
}

// means tells that the call means its target as long as the caller is in it: the caller's
// process, or thread, or ours, by its number; a zombie that only the caller could reap; a descriptor
// in a table that nobody else has.
func (g *Grants) means(a *attempt) bool {
	t := &a.target
	switch {
	case a.req.what == arch.PidfdGetfd:
		return g.sharesWithNobody(a.caller)
	case t.pid == a.call.Tid, t.pid == t.tgid && g.handler.byCaller.staysItself(a, t), t.pid == g.tasks.Self.Pid, t.pid == g.root:
		return true
	}
	var own proc.Status
	stat, known := g.statOf(t.pid)
	return known && stat.State == 'Z' && stat.PPid == a.caller.tgid &&
		a.caller.dir.Status(&own) == nil && own.Threads == 1 && t.owned(g.tasks)
}

func (g *Grants) statOf(pid int32) (stat proc.Stat, known bool) {
	dir, err := g.tasks.Proc.Dir(pid)
	if err != nil {
		return stat, false
	}
	defer dir.Close()
	return stat, dir.Stat(&stat) == nil
}

// sharesWithNobody tells whether a thread's descriptors are its own: who could come to share them
// it would have to make itself (CLONE_FILES), and it waits in the call. Whom we may not ask about
// is none of COMMAND's if he was there before us: execve gives descriptors of one's own.
func (g *Grants) sharesWithNobody(c *caller) bool {
	alone := true
	err := g.tasks.Proc.EachTask(func(tid int32) bool {
		if tid == c.tid {
			return true
		}
		switch order, errno := sys.Kcmp(tid, c.tid, sys.KCMP_FILES, 0, 0); errno {
		case 0:
			alone = order != 0
		case unix.ESRCH:
		case unix.EPERM:
			theirs, known := g.statOf(tid)
			ours, too := g.statOf(g.tasks.Self.Pid)
			alone = known && too && theirs.Start < ours.Start
		default:
			alone = false
		}
		return alone
	})
	return err == nil && alone
}

package emulate

import (
	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/proc"
	"github.com/pidfd-shim/pidfd-shim/internal/sys"
	"github.com/pidfd-shim/pidfd-shim/internal/task"
	"github.com/pidfd-shim/pidfd-shim/internal/tracee"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// guard sends by number while the strongest guard holds that can be had.
type guard struct {
	tasks  *task.View
	keeper Keeper  // Config's, as the next
	pinner *Pinner // nil under a Keeper

	between func(moment) // tests only: see pause
}

// send sends by number while the strongest guard holds that can be had: a number is
// not given to another process while its owner is pinned. A caller that signals its own
// process is stopped in this very call and cannot be made to stop for a tracer.
func (g *guard) send(a *attempt, t *target, n *number) (unix.Errno, shim.Guard) {
	g.pause(atEntry)
	if g.keeper != nil {
		return g.kept(a, t, n)
	}
	if t.tgid != a.caller.tgid && g.pinner != nil {
		return g.pinner.send(g, a, t, n)
	}
	return g.unkept(a, t, n)
}

// kept sends while the backend keeps the number.
func (g *guard) kept(a *attempt, t *target, n *number) (unix.Errno, shim.Guard) {
	hold, guard, errno := g.keeper.Keep(n.pid)
	switch {
	case errno == 0:
		defer g.keeper.Release(hold)
		return g.recheckThenSend(t, n), guard
	case errno == unix.EALREADY: // nothing reaches it any more
		return 0, shim.GuardNone
	case errno == unix.ESRCH: // so the target has been reaped
		return unix.ESRCH, shim.GuardNone
	case t.tgid != a.caller.tgid && t.deadUnreaped(g.tasks, n.pid):
		return 0, shim.GuardNone
	}
	return g.unkept(a, t, n)
}

func (g *guard) unkept(a *attempt, t *target, n *number) (unix.Errno, shim.Guard) {
	if t.tgid == a.caller.tgid && n.scope != scopeThread { // one of its threads may end first
		n.pid = n.tgid
	}
	return g.unpinned(t, n)
}

// recheckThenSend looks at the handle right before the send: what is left is the time between
// two system calls.
func (g *guard) recheckThenSend(t *target, n *number) unix.Errno {
	g.pause(atGuarded)
	if !t.owned(g.tasks) {
		return unix.ESRCH
	}
	g.pause(atChecked)
	defer g.pause(atSent)
	return n.send()
}

// moment is a place between two steps of a guarded send, where a number may change hands.
type moment uint8

const (
	atEntry   moment = iota // a handle and a number
	atJudged                // the owner pin's own rule was asked
	atGuarded               // the guard holds what has the number
	atChecked               // the handle's process has it
	atSent                  // sent, and not yet let go
)

// pause lets a test act between two steps.
func (g *guard) pause(at moment) {
	if g.between != nil {
		g.between(at)
	}
}

// Pinner holds a number's owner by PTRACE_SEIZE while a signal is sent to it: a traced
// task that dies stays a zombie, and its number its own, until its tracer has waited.
// Whoever was pinned is let go before the caller has its answer, and without a stop.
//
// What the target can notice: TracerPid for some 20 us, and that what it ignores is queued
// meanwhile and wakes it (kernel/signal.c, sig_ignored).
type Pinner struct{ Pins *tracee.Pins }

// send pins the owner of the number, sees through the handle that it is the target,
// and sends. The guard is seize only if the owner was held for the whole time.
func (p *Pinner) send(g *guard, a *attempt, t *target, n *number) (errno unix.Errno, guard shim.Guard) {
	pin, errno := p.seize(a.call, n.pid)
	switch errno {
	case 0:
	case unix.ESRCH: // nobody has the number, so the target has been reaped
		return unix.ESRCH, shim.GuardNone
	default: // a zombie, traced already, a kernel thread, not ours to trace
		if t.deadUnreaped(g.tasks, n.pid) {
			return 0, shim.GuardNone
		}
		return g.unpinned(t, n)
	}
	defer pin.Release()
	a.mustLetGo = true
	return g.recheckThenSend(t, n), shim.GuardSeize
}

// seize pins a task. That can wait for a task that is in an execve of its own.
func (p *Pinner) seize(c *shim.Call, pid int32) (*tracee.Pin, unix.Errno) {
	if c.Worker().Crowded() {
		return nil, unix.EAGAIN
	}
	c.Worker().EnterWait()
	defer c.Worker().Leave()
	return p.Pins.Pin(pid)
}

// unpinned sends by number where nobody's number could be kept from changing hands. What a
// policy has judged is not sent so: its owner could be another by then.
//
// A caller's own process is among these. Its waiting does not pin it: SIGKILL, or another
// thread's exit_group, ends the wait, and then its parent may reap it at any moment.
func (g *guard) unpinned(t *target, n *number) (unix.Errno, shim.Guard) {
	if errno, held := g.byOwner(t, n); held {
		return errno, shim.GuardOwner
	}
	if !n.policyAllowed || n.sig == 0 {
		return g.recheckThenSend(t, n), shim.GuardNarrowed
	}
	if !t.owned(g.tasks) {
		return unix.ESRCH, shim.GuardNone
	}
	n.refused = true
	return unix.ENOSYS, shim.GuardNone
}

// byOwner makes the target the owner of a pipe that sends the signal when it is written
// to (fcntl(2), F_SETOWN_EX and F_SETSIG). The number is looked up once, and the task it
// meant stays the owner, also when the number is another's: if the handle's process has
// the number still, it was that one. What comes has the siginfo of a SIGIO, hence only for
// signals whose siginfo no receiver sees. False: not for this signal or target.
func (g *guard) byOwner(t *target, n *number) (errno unix.Errno, held bool) {
	if !g.mayOwn(t, n) {
		return 0, false
	}
	g.pause(atJudged)
	var pipe [2]int
	if unix.Pipe2(pipe[:], unix.O_CLOEXEC|unix.O_NONBLOCK) != nil {
		return 0, false
	}
	defer sys.Close(pipe[1])
	defer sys.Close(pipe[0]) // first: the other end's close is a reason to signal, too
	switch aim(pipe[0], n) {
	case 0:
	case unix.ESRCH: // nobody has the number, so the target has been reaped
		return unix.ESRCH, true
	default:
		return 0, false
	}
	g.pause(atGuarded)
	if !t.owned(g.tasks) {
		return unix.ESRCH, true
	}
	g.pause(atChecked)
	if _, err := unix.FcntlInt(uintptr(pipe[0]), unix.F_SETFL, unix.O_ASYNC|unix.O_NONBLOCK); err != nil {
		return 0, false
	}
	n.sent = shim.SentKill // what it does
	if _, err := unix.Write(pipe[1], []byte{0}); err != nil {
		return errnoOf(err), true
	}
	g.pause(atSent)
	return 0, true
}

// aim makes the task that has the number the owner of a descriptor, which does not signal
// yet.
func aim(fd int, n *number) unix.Errno {
	owner := sys.F_OWNER_PID
	if n.scope == scopeThread {
		owner = sys.F_OWNER_TID
	}
	if errno := sys.SetOwner(fd, owner, n.pid); errno != 0 {
		return errno
	}
	_, err := unix.FcntlInt(uintptr(fd), unix.F_SETSIG, int(n.sig))
	return errnoOf(err)
}

// mayOwn reports whether an owner pin can send this, and to whom. A refusal would not be told:
// so it is only for those to whom it is sure to come. What is read by number here is the
// target's if the handle has the number afterwards.
func (g *guard) mayOwn(t *target, n *number) bool {
	if n.sig == 0 || !isUnseen(n.sig) {
		return false
	}
	var status proc.Status
	if g.tasks.Status(n.pid, &status) != nil || !mayBeForced(&status) {
		return false
	}
	to := credsOf(&status)
	if n.scope != scopeThread {
		var err error
		if to, err = t.creds(g.tasks); err != nil {
			return false
		}
	}
	return mayOwn(&g.tasks.Self, uint32(unix.Getuid()), uint32(unix.Geteuid()), &to)
}

// mayOwn is the kernel's rule for the signals of a descriptor (fs/fcntl.c, sigio_perm):
// root of the first user namespace, or the armer's effective or real uid is the target's
// saved or real one. CAP_KILL plays no part.
func mayOwn(s *task.Self, ruid, euid uint32, to *creds) bool {
	from := creds{tgid: -1, ruid: ruid, euid: euid}
	return euid == 0 && s.WholeUserns || mayByIDs(s, &from, to)
}

package emulate

import (
	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/internal/task"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// byCaller has callers make another call that means the same as theirs.
type byCaller struct {
	tasks    *task.View
	plan     *plan
	rights   *rights
	callers  *callerCache
	injector Injector // nil where the backend rewrites calls
	keeper   Keeper
	ledger   *Ledger
	backend  shim.Backend
}

// send lets the caller send: it runs kill, tgkill or a sigqueueinfo in the call's
// place, so sender, permission, LSM, session, init's protection and the order of
// self-signals are the kernel's own. What was decided sits in registers, but for a
// siginfo, which the kernel reads again from where the caller has it.
//
// False: this one cannot be said with a number, or the caller cannot be held, and it is
// sent from outside.
func (b *byCaller) send(a *attempt) (shim.Verdict, bool) {
	if a.req.byNumber() {
		what, args := b.sameByNumber(a)
		return b.runByCaller(a, what, args)
	}
	what, args, ok := b.inNumbers(a)
	if !ok {
		return shim.Verdict{}, false
	}
	return b.runByCaller(a, what, args)
}

// runByCaller holds caller and target and has the caller make the call.
func (b *byCaller) runByCaller(a *attempt, what arch.Syscall, args [6]uint64) (shim.Verdict, bool) {
	pinned := false
	switch {
	case b.injector == nil && b.keeper == nil:
		return shim.Verdict{}, false
	case a.known.is(forged) && a.target.isInitOf(b.tasks, a.caller): // the kernel drops it, once it may be sent
		return shim.Fail(b.rights.check(a)), true
	case b.injector != nil:
		held := false
		if held, pinned = b.injector.Hold(a.call, b.toPin(a)); !held {
			return shim.Verdict{}, false
		}
		a.mustLetGo = true
	}
	if !b.holdForCaller(a, &a.target, pinned) {
		b.drop(a)
		return shim.Fail(unix.ESRCH), true
	}
	if a.call.Record.Guard == shim.GuardNarrowed && b.needsPin(a) {
		b.drop(a)
		a.call.Record.Guard = shim.GuardNone
		return shim.Verdict{}, false // something better can be had from outside
	}
	if b.injector != nil && b.backend.Blocked(a.call) != nil { // a signal came first, or may have
		b.drop(a)
		b.ledger.injected(a.call.Tid, false)
		return shim.Gone(), true
	}
	r := &a.call.Record
	r.Path, r.Sent = shim.PathCaller, sentAs(what)
	return b.run(shim.Rewrite{Nr: shim.NumberOf(what, a.call.ABI), Args: args, Hold: a.hold}), true
}

// run has the caller make a call, held by the injector where the backend cannot do without.
func (b *byCaller) run(call shim.Rewrite) shim.Verdict {
	v := shim.Run(call)
	if b.injector != nil {
		v.Runner, v.Settler = b.injector, b
	}
	return v
}

// inNumbers says a call with numbers, as the caller's pid namespace counts. False: it
// cannot be said so.
func (b *byCaller) inNumbers(a *attempt) (what arch.Syscall, args [6]uint64, ok bool) {
	t := &a.target
	pid := t.pid
	if t.tgid == a.caller.tgid && t.pid != a.call.Tid && a.scope() == scopeProcess {
		pid = t.tgid // see sameByNumber
	}
	number, ok := a.caller.pidInNS(pid)
	group := a.group()
	// A group's number is given negative, and kill(-1) means everybody.
	if !ok || group && (number == 1 || a.hasInfo) {
		return 0, args, false
	}
	what, args = arch.Kill, [6]uint64{uint64(uint32(number)), uint64(uint32(a.req.sig))}
	withInfo := a.hasInfo && !b.plan.isPlainKill(a)
	switch {
	case group:
		args[0] = uint64(uint32(-number))
	case a.scope() == scopeThread:
		process, ok := a.caller.pidInNS(t.tgid)
		if !ok {
			return 0, args, false
		}
		what = arch.Tgkill
		if withInfo {
			what = arch.RtTgsigqueueinfo
		}
		args = [6]uint64{uint64(uint32(process)), uint64(uint32(number)), uint64(uint32(a.req.sig)), a.req.info}
	case withInfo:
		what, args[2] = arch.RtSigqueueinfo, a.req.info
	}
	return what, args, true
}

// sameByNumber is the caller's own call, but for another thread of its own process, which
// nothing pins: its number would be another process's as soon as it has ended. The
// process's own number is the caller's as long as it calls, so that is the one to name.
func (b *byCaller) sameByNumber(a *attempt) (arch.Syscall, [6]uint64) {
	what, args := a.req.what, a.call.Args
	t := &a.target
	if t.tgid != a.caller.tgid || t.pid == t.tgid || t.pid == a.call.Tid {
		return what, args
	}
	process := uint64(uint32(a.caller.number))
	switch what {
	case arch.Tkill:
		return arch.Tgkill, [6]uint64{process, args[0], args[1]}
	case arch.Kill, arch.RtSigqueueinfo:
		args[0] = process
	}
	return what, args
}

// drop lets go of caller and target: nothing is run. They go when the caller has its
// answer, or is known to have left.
func (b *byCaller) drop(a *attempt) {
	if b.injector != nil {
		b.injector.Drop()
	}
	if a.hold != 0 {
		b.keeper.Release(a.hold)
		a.hold = 0
	}
}

// Settled implements shim.Settler: it learns whether a caller that was held ran its call.
func (b *byCaller) Settled(c *shim.Call, _ shim.Verdict, answered error) {
	b.ledger.injected(c.Tid, answered == nil)
}

// toPin is the target that the injector is to pin: below 0 if without that the caller is not to send.
func (b *byCaller) toPin(a *attempt) int32 {
	if b.staysItself(a, &a.target) {
		return 0
	}
	if b.needsPin(a) {
		return -a.target.pid
	}
	return a.target.pid
}

// needsPin reports whether something better can be had from outside than a number
// that nothing keeps.
func (b *byCaller) needsPin(a *attempt) bool {
	return a.known.is(passable) || a.policy != nil || isUnseen(a.req.sig) && !a.group()
}

// staysItself reports whether a target's number is its own while the caller calls: the caller's
// process, which is held in the call itself, and the init of its pid namespace, with which it
// would end. A seized init, besides, would lose its protection from what comes from inside.
func (b *byCaller) staysItself(a *attempt, t *target) bool {
	if t.tgid == a.caller.tgid {
		return true
	}
	number, ok := a.caller.pidInNS(t.tgid)
	return ok && number == 1 && t.pid == t.tgid
}

// holdForCaller keeps the target's number its own until the call has returned, unless the
// injector has pinned it, and then sees that the number is the target's still. False: the target was reaped.
func (b *byCaller) holdForCaller(a *attempt, t *target, pinned bool) bool {
	r := &a.call.Record
	switch {
	case b.staysItself(a, t):
		r.Guard = shim.GuardTracee
	case pinned:
		r.Guard = shim.GuardSeize
	default:
		r.Guard = shim.GuardNarrowed
		if b.keeper == nil {
			break
		}
		if hold, guard, errno := b.keeper.Keep(t.pid); errno == 0 {
			a.hold, r.Guard = hold, guard
		}
	}
	owned := t.owned(b.tasks)
	r.Averted = !owned
	return owned
}

func sentAs(what arch.Syscall) shim.Sent {
	switch what {
	case arch.Tgkill:
		return shim.SentTgkill
	case arch.RtSigqueueinfo:
		return shim.SentRtSigqueueinfo
	case arch.RtTgsigqueueinfo:
		return shim.SentRtTgsigqueueinfo
	}
	return shim.SentKill
}

// sendItselfTo has a caller make its own call while it and its target are held; 0: it needs not
// be. False: they cannot be.
func (b *byCaller) sendItselfTo(a *attempt, target int32) (shim.Verdict, bool) {
	c := a.call
	switch {
	case b.injector != nil:
		held, pinned := b.injector.Hold(c, -target)
		if !held {
			return shim.Verdict{}, false
		}
		if a.mustLetGo = true; pinned {
			c.Record.Guard = shim.GuardSeize
		}
	case b.keeper == nil:
		return shim.Verdict{}, false
	case target != 0:
		hold, guard, errno := b.keeper.Keep(target)
		if errno != 0 {
			return shim.Verdict{}, false
		}
		a.hold, c.Record.Guard = hold, guard
	}
	if target != 0 && !a.target.owned(b.tasks) {
		b.drop(a)
		return shim.Fail(unix.ESRCH), true
	}
	if b.injector != nil && b.backend.Blocked(c) != nil {
		b.drop(a)
		b.ledger.injected(c.Tid, false)
		return shim.Gone(), true
	}
	c.Record.Path = shim.PathCaller
	return b.run(shim.Rewrite{Nr: uint64(c.Frame.Nr), Args: c.Frame.Raw, Hold: a.hold}), true
}

// sendItself has a caller make its own call while it is held, for somebody who wants to see
// what the call returns. Not the SIGSTOP of an init, which would lose its protection.
func (b *byCaller) sendItself(a *attempt) (v shim.Verdict, held bool) {
	if b.injector == nil {
		return v, false
	}
	c := a.call
	if unix.Signal(c.Record.Sig) == unix.SIGSTOP {
		if caller, err := b.callers.get(c.Tid); err != nil || caller.nested {
			return v, false
		}
	}
	if held, _ = b.injector.Hold(c, 0); !held {
		return v, false
	}
	a.mustLetGo = true
	if b.backend.Blocked(c) != nil {
		b.injector.Drop()
		b.ledger.injected(c.Tid, false)
		return shim.Gone(), true
	}
	return b.run(shim.Rewrite{Nr: uint64(c.Frame.Nr), Args: c.Frame.Raw}), true
}

package emulate

import (
	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/internal/proc"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// byCaller lets the caller send: it runs kill, tgkill or a sigqueueinfo in the call's
// place, so sender, permission, LSM, session, init's protection and the order of
// self-signals are the kernel's own. What was decided sits in registers, but for a
// siginfo, which the kernel reads again from where the caller has it.
//
// False: this one cannot be said with a number, or the caller cannot be held, and it is
// sent from outside.
func (h *SendSignal) byCaller(a *attempt) (shim.Verdict, bool) {
	if a.req.byNumber() {
		what, args := h.sameByNumber(a)
		return h.runByCaller(a, what, args)
	}
	what, args, ok := h.inNumbers(a)
	if !ok {
		return shim.Verdict{}, false
	}
	return h.runByCaller(a, what, args)
}

// runByCaller holds caller and target and has the caller make the call.
func (h *SendSignal) runByCaller(a *attempt, what arch.Syscall, args [6]uint64) (shim.Verdict, bool) {
	pinned := false
	switch {
	case h.hopper == nil && h.Keeper == nil:
		return shim.Verdict{}, false
	case h.forgesStop(a) && h.initOfOwn(a): // the kernel drops it, once it may be sent
		return shim.Fail(h.checkPermissionOutside(a)), true
	case h.hopper != nil:
		held := false
		if held, pinned = h.hopper.Hold(a.call, h.toPin(a)); !held {
			return shim.Verdict{}, false
		}
		h.holds = true
	}
	if !h.holdForCaller(a, &a.target, pinned) {
		h.drop(a)
		return shim.Fail(unix.ESRCH), true
	}
	if a.call.Record.Guard == shim.GuardNarrowed && h.needsPin(a) {
		h.drop(a)
		a.call.Record.Guard = shim.GuardNone
		return shim.Verdict{}, false // something better can be had from outside
	}
	if h.hopper != nil {
		if h.Backend.Blocked(a.call) != nil { // a signal came first, or may have
			h.drop(a)
			h.Ledger.hopped(a.call.Tid, false)
			return shim.Gone(), true
		}
	}
	r := &a.call.Record
	r.Path, r.Sent = shim.PathCaller, sentAs(what)
	return h.run(shim.Rewrite{Nr: shim.NumberOf(what, a.call.ABI), Args: args, Hold: a.hold}), true
}

// run has the caller make a call, held by the hopper where the backend cannot do without.
func (h *SendSignal) run(call shim.Rewrite) shim.Verdict {
	v := shim.Run(call)
	if h.hopper != nil {
		v.Runner, v.Settler = h.hopper, h
	}
	return v
}

// inNumbers says a call with numbers, as the caller's pid namespace counts. False: it
// cannot be said so.
func (h *SendSignal) inNumbers(a *attempt) (what arch.Syscall, args [6]uint64, ok bool) {
	t := &a.target
	pid := t.pid
	if t.tgid == a.caller.tgid && t.pid != a.call.Tid && a.scope() == scopeProcess {
		pid = t.tgid // see sameByNumber
	}
	number, ok := h.numberFor(a.caller, pid)
	group := a.group()
	// A group's number is given negative, and kill(-1) means everybody.
	if !ok || group && (number == 1 || a.hasInfo) {
		return 0, args, false
	}
	what, args = arch.Kill, [6]uint64{uint64(uint32(number)), uint64(uint32(a.req.sig))}
	withInfo := a.hasInfo && !h.asPlainKill(a)
	switch {
	case group:
		args[0] = uint64(uint32(-number))
	case a.scope() == scopeThread:
		process, ok := h.numberFor(a.caller, t.tgid)
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
func (h *SendSignal) sameByNumber(a *attempt) (arch.Syscall, [6]uint64) {
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
func (h *SendSignal) drop(a *attempt) {
	if h.hopper != nil {
		h.hopper.Drop()
	}
	if a.hold != 0 {
		h.Keeper.Release(a.hold)
		a.hold = 0
	}
}

// Settled implements shim.Settler: it learns whether a caller that was held ran its call.
func (h *SendSignal) Settled(c *shim.Call, _ shim.Verdict, answered error) {
	h.Ledger.hopped(c.Tid, answered == nil)
}

// toPin is the target that the hopper is to pin: below 0 if without that the caller is not to send.
func (h *SendSignal) toPin(a *attempt) int32 {
	if h.staysItself(a, &a.target) {
		return 0
	}
	if h.needsPin(a) {
		return -a.target.pid
	}
	return a.target.pid
}

// needsPin tells of a call for which something better can be had from outside than a number
// that nothing keeps.
func (h *SendSignal) needsPin(a *attempt) bool {
	return h.mayPass(a) || a.policy != nil || unseen(a.req.sig) && !a.group()
}

// staysItself tells of a target whose number is its own while the caller calls: the caller's
// process, which is held in the call itself, and the init of its pid namespace, with which it
// would end. A seized init, besides, would lose its protection from what comes from inside.
func (h *SendSignal) staysItself(a *attempt, t *target) bool {
	if t.tgid == a.caller.tgid {
		return true
	}
	number, ok := h.numberFor(a.caller, t.tgid)
	return ok && number == 1 && t.pid == t.tgid
}

// holdForCaller keeps the target's number its own until the call has returned, unless the
// hopper has pinned it, and then sees that the number is the target's still. False: the target was reaped.
func (h *SendSignal) holdForCaller(a *attempt, t *target, pinned bool) bool {
	r := &a.call.Record
	switch {
	case h.staysItself(a, t):
		r.Guard = shim.GuardTracee
	case pinned:
		r.Guard = shim.GuardSeize
	default:
		r.Guard = shim.GuardNarrowed
		if h.Keeper == nil {
			break
		}
		if hold, guard, errno := h.Keeper.Keep(t.pid); errno == 0 {
			a.hold, r.Guard = hold, guard
		}
	}
	owned := h.owns(t)
	r.Averted = !owned
	return owned
}

// numberFor translates a number of the supervisor's pid namespace into the caller's.
func (h *SendSignal) numberFor(c *caller, pid int32) (int32, bool) {
	if pid <= 0 {
		return 0, false
	}
	if !c.nested {
		return pid, true
	}
	if h.Features.NSTranslate {
		number, err := proc.PidInPidns(c.pidns, pid)
		return number, err == nil
	}
	// NSpid lists the numbers from the supervisor's namespace inwards.
	var status proc.Status
	if h.statusOf(pid, &status) != nil || status.NSpids < c.depth || c.depth == 0 {
		return 0, false
	}
	return status.NSpid[c.depth-1], true
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

package emulate

import (
	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/policy"
)

// settled tells of a call that is allowed by its registers, where that is all that the
// supervisor was asked for.
func (h *SendSignal) settled(a *attempt) bool {
	if a.policy != nil && !a.fixed || h.forgesStop(a) {
		return false
	}
	return h.Mode == ModeContinue || h.mayPass(a) && (a.req.byNumber() || h.Mode == ModeAuto || h.makesItself())
}

// forgesStop tells of a SIGSTOP whose siginfo the caller has made. By si_pid a tracer tells
// who would stop a traced init from inside, which the kernel would have dropped; here it
// may say that it comes from outside.
func (h *SendSignal) forgesStop(a *attempt) bool {
	return h.Keeper != nil && unix.Signal(a.req.sig) == unix.SIGSTOP && a.req.given && !a.group()
}

// makesItself tells of a caller that makes the very call where the kernel has it and may run
// it: nothing is to be rewritten, so no filter of its own is asked about another call, and no
// number has to be kept.
//
// Under serve a caller is held all the same: the filter around it is somebody else's.
func (h *SendSignal) makesItself() bool {
	return h.Mode == ModeCaller && (h.Keeper != nil || h.Sandbox == nil)
}

// mayPass tells whether the kernel may run the call: it has it, and no rule asked about
// anything that could change between our answer and the kernel's look.
func (h *SendSignal) mayPass(a *attempt) bool {
	if !h.Unsafe && a.asks()&^lasting != 0 {
		return false
	}
	return h.MayPass || h.Continues && a.req.byNumber()
}

// lasting are the facts that nobody can change while the caller waits: a thread's ids
// are its own to change.
const lasting = policy.CallerUID | policy.CallerEUID | policy.CallerGID

// passes tells of a call that the kernel is to run if the policy allows it.
func (h *SendSignal) passes(a *attempt) bool {
	if a.caller == nil || h.forgesStop(a) {
		return false
	}
	if a.target.self && h.MayPass && h.siginfoSettled(a) && (h.Mode == ModeAuto || h.Mode == ModeCaller) {
		return true // PIDFD_SELF: whom it means is in a register, too
	}
	if !h.mayPass(a) {
		return false
	}
	if h.Mode == ModeContinue || a.req.byNumber() || h.makesItself() {
		return true
	}
	if a.target.reaped && h.Mode != ModeEmulate && (a.group() || a.caller.nested) {
		return true // only the kernel still knows its namespace, and its group
	}
	return h.Mode == ModeForward && h.onlyInCaller(a)
}

// wantsCaller tells of a call that the caller itself is to make, by a relative of the
// call with everything in registers: as asked for, or because it would come out
// differently if the supervisor made it. Where a rule asked for the siginfo, which the
// kernel would read again, it may not.
func (h *SendSignal) wantsCaller(a *attempt) bool {
	if a.hasInfo && a.asks()&(policy.Code|policy.Value) != 0 || a.group() && h.memberwise(a) {
		return false
	}
	switch {
	case h.Mode == ModeCaller:
		return true
	case h.Mode == ModeEmulate && a.caller != nil && h.Watch.mayBeConfined(a.caller):
		return true
	case a.policy == nil || a.caller == nil:
		return false
	case a.req.byNumber():
		return true
	case (h.Mode == ModeAuto || h.Mode == ModeContinue) && !a.req.given: // the latter after a reload
		return true
	}
	return h.Mode != ModeEmulate && h.onlyInCaller(a)
}

// asks is what the policy still needs besides registers.
func (a *attempt) asks() policy.Fact {
	if a.policy == nil || a.fixed {
		return 0
	}
	return a.policy.Needs()
}

// memberwise tells whether the policy has to be asked about each member of a group.
func (h *SendSignal) memberwise(a *attempt) bool {
	return a.policy != nil && !a.fixed && a.policy.AsksTarget()
}

// onlyInCaller tells of a call that would come out differently if the supervisor
// made it, although the kernel has the call: the caller is in another pid or user
// namespace, may be confined by a security module, or signals itself with a code that
// only it may use.
func (h *SendSignal) onlyInCaller(a *attempt) bool {
	if a.caller.nested || a.caller.labelled || h.Watch.mayBeConfined(a.caller) {
		return true
	}
	if a.hasInfo && kernelOnly(a.info.Code()) && a.target.pid == a.call.Tid && !a.group() {
		return true
	}
	if !a.hasInfo && a.req.given || a.hasInfo && !arch.LayoutOf(a.info.Signo(), a.info.Code()).HasSender() {
		return false
	}
	foreign, err := h.foreignUserns(a.caller)
	return foreign || err != nil
}

package emulate

import (
	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/policy"
)

// Route is who carries a call out.
type Route uint8

// The routes.
const (
	RouteOpen    Route = iota // more has to be found out, or checked, before it can be told
	RouteKernel               // the kernel runs the call as it is
	RouteCaller               // the caller makes another call that means the same
	RouteHandle               // the supervisor sends through the handle
	RouteNumber               // the supervisor sends by number, under a guard
	RouteMembers              // the supervisor sends to each member of a group
	RouteNobody               // nobody: the kernel would drop it, coming from the caller
)

// String implements fmt.Stringer.
func (r Route) String() string {
	return [...]string{"open", "kernel", "caller", "handle", "number", "members", "nobody"}[r]
}

// condition is one thing that a route depends on.
type condition uint32

const (
	// Of registers and rules.
	passable condition = 1 << iota // the kernel may run it: it has the call, and no rule asks for what could change before its look
	decided                        // no rule asks for more than registers tell
	policed                        // there is a policy
	byNumber                       // one of the older calls
	makesOwn                       // a caller that is to make the call makes this very one
	forged                         // a SIGSTOP with siginfo of the caller's
	given                          // has siginfo
	grouped                        // to a group

	// Of caller and target.
	identified  // the caller is known
	ownProcess  // a process signals itself by number, and the policy allows it
	selfWord    // PIDFD_SELF_*, which the kernel has, and no rule asks for the siginfo
	beyondReach // reaped, and only the kernel still knows its namespace and group
	rereads     // a rule asks for what is read again if the caller makes the call, or of each member
	apart       // in another pid namespace, or under another label
	nested      // in another pid namespace
	ownCode     // signals itself with a code that only it may use
	unnamed     // its siginfo says no sender
	byHandle    // the kernel has the call, and means the same by it
	byPidfd     // as byHandle, to one target whose handle says the same as the call
	unseen      // no receiver sees its siginfo: signal 0, SIGKILL, SIGSTOP
	once        // must not be made again by a caller whose call was answered
	forced      // an ancestor's is not dropped by an init: SIGKILL, SIGSTOP
	sameProcess // the target is the caller's own process

	// Of how the call went.
	inCaller // byFacts said RouteCaller: the kernel judges it there
	unheld   // the caller cannot be held, or what it would call cannot be said

	// What takes a look at another task is asked only where the route depends on it.
	confined  // may be in a Landlock domain that the supervisor is not in
	foreign   // in another user namespace
	ignoring  // the target drops the signal
	sameRight // the supervisor may send exactly what the caller may
	initOfOwn // the target is the init of the caller's own pid namespace

	costly = confined | foreign | ignoring | sameRight | initOfOwn
)

// stage is how far a call has come.
type stage uint8

const (
	stageAsked    stage = iota // its registers are known
	stageResolved              // caller, target and siginfo, too
	stageChecked               // nothing refuses it
)

// known is what is known of one call so far.
type known struct {
	mode    Mode
	stage   stage
	holds   condition
	asked   condition // the costly ones that are known
	missing condition // the first that was asked for in vain
}

// route tells who carries a call out, or which condition has to be found out before. It
// looks at nothing else, and is the only place where this is decided.
func route(k known) (r Route, missing condition) {
	switch k.stage {
	case stageAsked:
		r = k.byRegisters()
	case stageResolved:
		r = k.byFacts()
	default:
		r = k.bySignal()
	}
	if k.missing != 0 {
		return RouteOpen, k.missing
	}
	return r, 0
}

// is reports whether a condition holds.
func (k *known) is(c condition) bool { return k.holds&c != 0 }

// look is for the costly ones. One that is not known does not hold, and is missing.
func (k *known) look(c condition) bool {
	if k.asked&c == 0 && k.missing == 0 {
		k.missing = c
	}
	return k.holds&c != 0
}

// learn adds a condition that was missing.
func (k *known) learn(c condition, holds bool) {
	k.asked |= c
	k.set(c, holds)
}

func (k *known) set(c condition, holds bool) {
	if holds {
		k.holds |= c
	}
}

// byRegisters is for a call that is allowed by its registers, where that is all that the
// supervisor was asked for.
func (k *known) byRegisters() Route {
	if !k.is(decided) || k.is(forged) {
		return RouteOpen
	}
	if k.mode == ModeContinue || k.is(passable) && (k.is(byNumber) || k.mode == ModeAuto || k.is(makesOwn)) {
		return RouteKernel
	}
	return RouteOpen
}

// byFacts tells of calls that the kernel runs if the policy allows them, and of those that
// the caller itself makes: as asked for, or because they would come out differently if the
// supervisor made them.
func (k *known) byFacts() Route {
	switch {
	case k.is(ownProcess), k.kernelRuns():
		return RouteKernel
	case k.callerMakes():
		return RouteCaller
	}
	return RouteOpen
}

func (k *known) kernelRuns() bool {
	switch {
	case !k.is(identified), k.is(forged):
		return false
	case k.is(selfWord) && (k.mode == ModeAuto || k.mode == ModeCaller):
		return true // whom it means is in a register, too
	case !k.is(passable):
		return false
	case k.mode == ModeContinue, k.is(byNumber), k.is(makesOwn):
		return true
	case k.is(beyondReach) && k.mode != ModeEmulate:
		return true
	}
	return k.mode == ModeForward && k.differs()
}

func (k *known) callerMakes() bool {
	switch {
	case k.is(rereads):
		return false
	case k.mode == ModeCaller:
		return true
	case !k.is(identified):
		return false
	case k.mode == ModeEmulate && k.look(confined):
		return true
	case !k.is(policed):
		return false
	case k.is(byNumber):
		return true
	case (k.mode == ModeAuto || k.mode == ModeContinue) && !k.is(given): // the latter after a reload
		return true
	}
	return k.mode != ModeEmulate && k.differs()
}

// differs reports whether a call comes out differently if the supervisor makes it, although
// the kernel has the call: the caller is in another pid or user namespace, may be confined by
// a security module, or signals itself with a code that only it may use.
func (k *known) differs() bool {
	switch {
	case k.is(apart), k.look(confined), k.is(ownCode):
		return true
	case k.is(unnamed):
		return false
	}
	return k.look(foreign)
}

// bySignal is for a call that nothing refuses.
func (k *known) bySignal() Route {
	unfelt := k.unfelt()
	dropped := k.is(forced) && !k.is(grouped) && k.look(initOfOwn)
	caller := k.is(inCaller) && !unfelt && !(dropped && k.is(sameProcess)) // held it would not be dropped
	switch {
	case caller && !k.is(unheld):
		return RouteCaller
	case caller && k.is(passable): // next best, and as exact
		return RouteKernel
	case k.is(grouped):
		return RouteMembers
	case dropped:
		return RouteNobody
	case unfelt, k.mode != ModeEmulate && k.is(byHandle):
		return RouteHandle
	}
	return RouteNumber
}

// unfelt reports whether a call that another would have made goes through the handle, which
// needs no guard and is not felt by anybody: nobody sees who has sent it, and the
// supervisor's right to send is the caller's. Those are signal 0, SIGKILL and SIGSTOP, and
// what the target ignores, which the kernel drops. To be pinned would even harm there: a
// traced task ignores nothing (kernel/signal.c, sig_ignored).
//
// Where emulation has been asked for, only of what is felt otherwise.
func (k *known) unfelt() bool {
	switch {
	case !k.is(byPidfd):
		return false
	case k.is(unseen):
		return k.is(inCaller) && !k.is(once) && k.look(sameRight)
	}
	return (k.is(inCaller) || k.mode == ModeEmulate) && !k.is(nested) && k.look(ignoring) && k.look(sameRight)
}

// lasting are the facts that nobody can change while the caller waits: a thread's ids
// are its own to change.
const lasting = policy.CallerUID | policy.CallerEUID | policy.CallerGID

// asked is what registers and rules tell.
func (p *plan) asked(a *attempt) known {
	k := known{mode: p.mode}
	asks, number := a.asks(), a.req.byNumber()
	k.set(passable, (p.unsafe || asks&^lasting == 0) && (p.mayPass || p.continues && number))
	k.set(decided, a.policy == nil || a.fixed)
	k.set(policed, a.policy != nil)
	k.set(byNumber, number)
	k.set(makesOwn, p.makesOwn)
	// By si_pid a tracer tells who would stop a traced init from inside, which the kernel would
	// have dropped; here it may say that it comes from outside.
	k.set(forged, p.traced && unix.Signal(a.req.sig) == unix.SIGSTOP && a.req.given && !a.group())
	k.set(given, a.req.given)
	k.set(grouped, a.group())
	return k
}

// resolved adds what caller, target and siginfo tell.
func (p *plan) resolved(a *attempt) {
	k, t := &a.known, &a.target
	k.stage = stageResolved
	k.set(rereads, a.hasInfo && a.asks()&(policy.Code|policy.Value) != 0 || a.group() && a.memberwise())
	if a.caller == nil {
		return
	}
	k.holds |= identified
	k.set(ownProcess, t.own)
	k.set(selfWord, t.self && p.mayPass && p.leavesSiginfo(a))
	k.set(beyondReach, t.reaped && (a.group() || a.caller.nested))
	k.set(apart, a.caller.nested || a.caller.labelled)
	k.set(nested, a.caller.nested)
	k.set(ownCode, a.hasInfo && kernelOnly(a.info.Code()) && t.pid == a.call.Tid && !a.group())
	k.set(unnamed, a.hasInfo && !arch.LayoutOf(a.info.Signo(), a.info.Code()).HasSender() || !a.hasInfo && a.req.given)
}

// checked adds what matters of a call that nothing refuses.
func (p *plan) checked(a *attempt) {
	k, t := &a.known, &a.target
	k.stage = stageChecked
	handle := p.sendsByHandle(a)
	k.set(inCaller, a.inCaller)
	k.set(byHandle, handle)
	k.set(byPidfd, handle && !a.group() && !(a.req.byNumber() && t.thread && t.dir != nil))
	k.set(unseen, isUnseen(a.req.sig))
	k.set(once, p.restarts && unix.Signal(a.req.sig) == unix.SIGSTOP)
	k.set(forced, isForced(a.req.sig))
	k.set(sameProcess, t.tgid == a.caller.tgid)
}

package emulate

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/arch/abi"
	"github.com/pidfd-shim/pidfd-shim/internal/helper"
	"github.com/pidfd-shim/pidfd-shim/internal/task"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// SendSignal handles pidfd_send_signal and, where a policy names them, the older calls
// that signal by number, for one worker. Not for concurrent use.
//
// A call is values: request, facts, and what is known of its route. What is kept from one
// to the next are the callers that were seen, and room.
type SendSignal struct {
	Config
	plan plan

	tasks    *task.View
	rights   rights
	callers  callerCache
	memory   siginfoMemory
	judge    judge
	resolver resolver
	guard    guard
	sender   sender
	byCaller byCaller

	current attempt
	busy    atomic.Bool // at a call: see Known
}

// New makes the handler of one worker.
func New(config Config) *SendSignal {
	h := newHandler(config)
	h.memory.reader = config.Reader()
	if config.Injector != nil {
		h.byCaller.injector = config.Injector()
	}
	h.Known.add(h)
	return h
}

// newHandler gives each part what it needs.
func newHandler(config Config) *SendSignal {
	h := &SendSignal{Config: config, plan: planOf(&config)}
	h.tasks = &task.View{Proc: config.Proc, Features: config.Features, Self: config.Self}
	h.rights = rights{h.tasks, config.Watch, config.Log}
	h.callers = callerCache{tasks: h.tasks, watch: config.Watch}
	h.memory = siginfoMemory{proc: config.Proc, suspicious: config.Suspicious, neverBlock: config.NeverBlock}
	groups := groups{h.tasks, config.Ours}
	h.judge = judge{tasks: h.tasks, groups: groups, sandbox: config.Sandbox, ours: config.Ours, root: config.Root, watched: config.Watched}
	h.resolver = resolver{
		tasks: h.tasks, plan: &h.plan, callers: &h.callers, memory: &h.memory, judge: &h.judge, rights: &h.rights,
		family: config.Family, suspicious: config.Suspicious, observed: config.Observed,
	}
	h.guard = guard{tasks: h.tasks, keeper: config.Keeper, pinner: config.Pinner}
	h.sender = sender{
		tasks: h.tasks, plan: &h.plan, rights: &h.rights, judge: &h.judge, groups: groups, guard: &h.guard,
		ledger: config.Ledger, log: config.Log,
	}
	h.byCaller = byCaller{
		tasks: h.tasks, plan: &h.plan, rights: &h.rights, callers: &h.callers, keeper: config.Keeper, ledger: config.Ledger,
		backend: config.Backend,
	}
	return h
}

// Close lets go of the callers that were seen. Precondition: no call is under way.
func (h *SendSignal) Close() {
	h.Known.remove(h)
	h.callers.dropAll()
}

// Handle is one call's way from its registers to a Verdict: what was asked, whom and what it
// means (resolve), whether anything refuses it (decide), and then who carries it out (act).
func (h *SendSignal) Handle(c *shim.Call) (v shim.Verdict) {
	if abi.Of(c.ABI).Mark != 0 && !h.Features.Marked { // the mark of an ABI that this kernel lacks
		return shim.Fail(unix.ENOSYS)
	}
	h.begin()
	defer h.busy.Store(false)
	h.Ledger.Heard(c)
	a := &h.current
	*a = attempt{} // cleared where it is: a literal would be made elsewhere and moved
	a.call, a.backend, a.req, a.policy = c, h.Backend, requestOf(c), h.Policy.Current()
	c.Record.PidFD, c.Record.Sig, c.Record.Info, c.Record.Flags = a.req.pidfd, a.req.sig, a.req.info, a.req.flags
	h.handle(a, &v)
	if a.mustLetGo {
		v.Release = h
	}
	return v
}

// handle says in v how the call ends. A verdict is long, and this is every call's way: none is
// moved from function to function.
func (h *SendSignal) handle(a *attempt, v *shim.Verdict) {
	h.judge.watchOnly(a)
	if errno, denied := h.judge.byRegisters(a); denied {
		*v = h.fail(a, errno)
		return
	}
	a.known = h.plan.asked(a)
	if h.route(a) == RouteKernel {
		h.resolver.look(a)
		h.pass(a, v)
		return
	}
	h.handleResolved(a, v)
}

// handleResolved is for a call of which registers and rules do not tell whose it is.
func (h *SendSignal) handleResolved(a *attempt, v *shim.Verdict) {
	defer h.end(a)
	if err := h.resolver.resolve(a); err != nil {
		ended := false
		if *v, ended = h.unserved(a.call, err); ended {
			return
		}
		a.pendingErrno = unix.ENOSYS
	}
	h.plan.resolved(a)
	switch h.route(a) {
	case RouteKernel:
		h.passJudged(a, v)
		return
	case RouteCaller:
		a.inCaller = true
	}
	h.carryOut(a, v)
}

// carryOut is for a call that is not the kernel's to run.
func (h *SendSignal) carryOut(a *attempt, v *shim.Verdict) {
	c := a.call
	if (a.inCaller || h.Mode == ModeEmulate) && c.Worker().Full() {
		*v = shim.Later()
		return
	}
	if h.Ledger != nil {
		restarted := false
		if *v, restarted = h.Ledger.restart(a); restarted {
			return
		}
	}
	errno := h.decide(a)
	switch {
	case a.cut != nil:
		*v = cutShort(a.cut)
		return
	case h.isShort(a, errno):
		*v = shim.Later()
		return
	case errno != 0:
		*v = h.fail(a, errno)
		return
	}
	c.BeforeSend()
	if h.Backend.Blocked(c) != nil {
		h.Ledger.injected(c.Tid, false)
		*v = shim.Gone()
		return
	}
	h.act(a, v)
	if v.Kind == shim.KindFail && h.isShort(a, v.Errno) {
		*v = shim.Later()
	}
	if v.Kind == shim.KindFail {
		c.Record.Check = refusedBy(a, &h.Rules, v.Errno)
	}
}

// route asks the table, and finds out what it has to know.
func (h *SendSignal) route(a *attempt) Route {
	for {
		r, missing := route(a.known)
		if missing == 0 {
			return r
		}
		a.known.learn(missing, h.find(a, missing))
	}
}

// find looks whether one of the costly conditions holds. Precondition: the caller is known.
func (h *SendSignal) find(a *attempt, c condition) bool {
	switch c {
	case confined:
		return h.Watch.mayBeConfined(a.caller)
	case foreign:
		differs, err := h.rights.isForeign(a.caller)
		return differs || err != nil
	case ignoring:
		return a.target.ignores(h.tasks, a.req.sig)
	case sameRight:
		return h.rights.areSame(a)
	}
	return a.target.isInitOf(h.tasks, a.caller) // initOfOwn
}

// decide is the errno that the kernel would give this caller, or 0.
func (h *SendSignal) decide(a *attempt) unix.Errno {
	if a.kernelChecks {
		return 0
	}
	a.isCaller = a.target.pid != 0 && a.target.pid == a.call.Tid && !a.group()
	if errno := check(&a.req, &a.facts, &h.Rules); errno != 0 {
		return errno
	}
	if a.group() && a.memberwise() {
		return 0
	}
	errno := h.judge.allowed(a)
	if errno != 0 || a.group() || a.inCaller { // where the caller makes the call the kernel judges
		return errno
	}
	return h.rights.check(a)
}

// act carries the call out. Precondition: decide said 0, and the caller was seen waiting
// after the last thing read of it.
func (h *SendSignal) act(a *attempt, v *shim.Verdict) {
	h.plan.checked(a)
	r := h.route(a)
	if r == RouteCaller {
		if !h.Ledger.injectionKeepsFailing(a.call.Tid) {
			ok := false
			if *v, ok = h.byCaller.send(a); ok {
				return
			}
		}
		a.known.set(unheld, true)
		r = h.route(a)
	}
	if r == RouteKernel {
		h.pass(a, v)
		return
	}
	if a.known.is(unheld) && r != RouteMembers { // whose members are judged one by one
		if errno := h.rights.check(a); errno != 0 {
			*v = shim.Fail(errno)
			return
		}
	}
	errno := h.sender.send(a, r)
	switch {
	case a.cut != nil:
		*v = cutShort(a.cut)
	case h.Ledger == nil:
		*v = shim.Fail(errno)
	default:
		*v = h.Ledger.sent(a, shim.Fail(errno))
	}
}

// end lets go of what the call had open.
func (h *SendSignal) end(a *attempt) {
	a.target.close(a.call.Worker())
}

// LetGo implements shim.Release, for when a call has its answer: the next pin is made ready,
// and a caller who was held for nothing let go. It may take its time to stop: then another
// worker goes on, with its own handler.
func (h *SendSignal) LetGo(w *shim.Worker) {
	if h.guard.pinner != nil {
		h.guard.pinner.Pins.Stock()
	}
	if h.byCaller.injector != nil {
		h.byCaller.injector.LetGo(w.StayBehind)
	}
}

// passJudged is pass where the policy has a word in it.
func (h *SendSignal) passJudged(a *attempt, v *shim.Verdict) {
	if a.target.own { // it had
		h.pass(a, v)
		return
	}
	denied := h.judge.allowed(a)
	if a.cut != nil {
		*v = cutShort(a.cut)
		return
	}
	if denied == 0 {
		a.call.Record.Unsafe = a.asks()&^lasting != 0
		h.pass(a, v)
		return
	}
	if errno := h.decide(a); errno != 0 { // a check of the kernel's may come first
		denied = errno
	}
	*v = h.fail(a, denied)
}

// pass lets the kernel run the call in the caller.
func (h *SendSignal) pass(a *attempt, v *shim.Verdict) {
	c := a.call
	c.Record.Path = shim.PathContinue
	if h.plan.makesOwn && c.What == arch.PidfdSendSignal {
		c.Record.Path, c.Record.Sent, c.Record.Guard = shim.PathCaller, shim.SentPidfdSendSignal, shim.GuardPidfd
	}
	if h.Results {
		held := false
		if *v, held = h.byCaller.sendItself(a); held {
			return
		}
	}
	*v = shim.Pass()
}

// fail is a refusal. Where somebody looks, it shows the siginfo too, if no check came to it.
func (h *SendSignal) fail(a *attempt, errno unix.Errno) shim.Verdict {
	a.call.Record.Check = refusedBy(a, &h.Rules, errno)
	if h.Explains && a.call.Record.Denied {
		h.judge.explain(a)
	}
	if h.Observed && a.req.given && !a.call.Record.HasUser && !h.Suspicious() {
		_, _ = h.memory.readSiginfo(a)
	}
	return shim.Fail(errno)
}

// unserved ends a call that could not be resolved, because the caller vanished or something
// is to be waited for. False: we lack something, which the caller is told as ENOSYS because
// real programs know how to fall back from that.
func (h *SendSignal) unserved(c *shim.Call, err error) (v shim.Verdict, ended bool) {
	switch {
	case errors.Is(err, helper.ErrLate):
		return shim.Later(), true
	case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE), errors.Is(err, unix.ENOMEM):
		h.giveBack() // and wait until others have given something back
		return shim.Later(), true
	case h.Backend.Blocked(c) != nil:
		return shim.Gone(), true
	}
	level := slog.LevelError
	if c.Slow && errors.Is(err, unix.ESRCH) { // killed while it waited aside, most likely
		level = slog.LevelDebug
	}
	h.Log.Log(context.Background(), level, "cannot serve a call: it gets ENOSYS", "tid", c.Tid, "error", err)
	return v, false
}

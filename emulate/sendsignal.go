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
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// SendSignal handles pidfd_send_signal and, where a policy names them, the older calls
// that signal by number, for one worker. Not for concurrent use.
type SendSignal struct {
	Config

	facts   facts
	current attempt
	callers callerCache
	reader  *Reader
	pinner  *Pinner     // Config's
	hopper  Hopper      // nil where the backend rewrites calls
	holds   bool        // the call at hand has held somebody: see LetGo
	busy    atomic.Bool // at a call: see Known

	between func(moment) // tests only: see pause

	label  []byte                 // see isLabelled
	memory [arch.SiginfoSize]byte // what was read of the caller
	zero   [arch.SiginfoSize]byte // stays so
	out    [arch.SiginfoSize]byte // what is sent
}

// New makes the handler of one worker.
func New(config Config) *SendSignal {
	h := &SendSignal{Config: config, reader: config.Reader(), pinner: config.Pinner}
	if config.Hopper != nil {
		h.hopper = config.Hopper()
	}
	h.Known.add(h)
	return h
}

// Close lets go of the callers that were seen. Precondition: no call is under way.
func (h *SendSignal) Close() {
	h.Known.remove(h)
	h.callers.dropAll()
}

// end lets go of what the call had open.
func (h *SendSignal) end(a *attempt) {
	a.target.close(a.call.Worker())
}

// LetGo implements shim.Release, for when a call has its answer: the next pin is made ready, and a caller who was
// held for nothing let go. It may take its time to stop: then another worker goes on, with
// its own handler.
func (h *SendSignal) LetGo(w *shim.Worker) {
	if h.pinner != nil {
		h.pinner.Pins.Stock()
	}
	if h.hopper != nil {
		h.hopper.LetGo(w.StayBehind)
	}
}

// Handle is one call's way from its registers to a Verdict: Resolve, Decide, Send. Who
// then carries it out, the kernel, the caller or the supervisor, is in ways.go.
func (h *SendSignal) Handle(c *shim.Call) shim.Verdict {
	h.holds = false
	v := h.handle(c)
	if h.holds {
		v.Release = h
	}
	return v
}

func (h *SendSignal) handle(c *shim.Call) shim.Verdict {
	if abi.Of(c.ABI).Mark != 0 && !h.Features.Marked { // the mark of an ABI that this kernel lacks
		return shim.Fail(unix.ENOSYS)
	}
	h.begin()
	defer h.busy.Store(false)
	h.Ledger.Heard(c)
	a := &h.current
	*a = attempt{call: c, req: requestOf(c), policy: h.Policy.Current()}
	c.Record.PidFD, c.Record.Sig, c.Record.Info, c.Record.Flags = a.req.pidfd, a.req.sig, a.req.info, a.req.flags
	h.watchOnly(a)
	if errno, denied := h.early(a); denied {
		return h.fail(a, errno)
	}
	if h.settled(a) {
		h.look(a)
		return h.pass(c)
	}
	defer h.end(a)
	switch h.Resolve(a) {
	case gone:
		return shim.Gone()
	case later:
		return shim.Later()
	}
	if a.target.own {
		return h.pass(c)
	}
	if h.passes(a) {
		return h.passJudged(a)
	}
	a.inCaller = h.wantsCaller(a)
	if (a.inCaller || h.Mode == ModeEmulate) && c.Worker().Full() {
		return shim.Later()
	}
	if first, restarted := h.Ledger.restart(a); restarted {
		return first
	}
	errno := h.Decide(a)
	if v, cut := cutShort(a.cut); cut {
		return v
	}
	if h.isShort(a, errno) {
		return shim.Later()
	}
	if errno != 0 {
		return h.fail(a, errno)
	}
	c.BeforeSend()
	if h.Backend.Blocked(c) != nil {
		h.Ledger.hopped(c.Tid, false)
		return shim.Gone()
	}
	v := h.Send(a)
	if v.Kind == shim.KindFail && h.isShort(a, v.Errno) {
		return shim.Later()
	}
	if v.Kind == shim.KindFail {
		c.Record.Check = h.refusedBy(a, v.Errno)
	}
	return v
}

// Resolve takes everything that the decision needs, each thing once: the caller, the
// descriptor, the siginfo. It stops at the first check that fails, in the order of
// the kernel's (kernel/signal.c, SYSCALL_DEFINE4(pidfd_send_signal), 6.18):
//
//  1. unknown flag                                EINVAL
//  2. more than one scope flag                    EINVAL
//  3. PIDFD_SELF_*: no descriptor, skips 4 to 6
//  4. descriptor closed, or O_PATH                EBADF
//  5. neither a pidfd nor a /proc/PID directory   EBADF
//  6. target's pid namespace not the caller's
//     or below it                                 EINVAL
//  7. siginfo unreadable                          EFAULT
//  8. native, unknown code, bytes after the 48    E2BIG
//
// Decide goes on with
//
//  9. si_signo is not sig                         EINVAL
//  10. si_code that only the kernel may use       EPERM
//  11. target reaped                              ESRCH
//  12. sig out of range                           EINVAL
//  13. permission                                 EPERM
//
// and Send with
//
//  14. sig 0 ends here; the queue limit           EAGAIN
func (h *SendSignal) Resolve(a *attempt) outcome {
	flags := a.req.flags
	if a.req.byNumber() {
		return h.resolveByNumber(a)
	}
	if flags&^h.Rules.Flags != 0 || flags&(flags-1) != 0 {
		a.early = unix.EINVAL
		return resolved
	}
	var err error
	if a.caller, err = h.callers.get(h, a.call.Tid); err != nil {
		return h.unserved(a, err)
	}
	errno, err := h.resolveTarget(a)
	if err != nil {
		return h.unserved(a, err)
	}
	a.early = errno
	if errno == 0 && h.kernelJudges(a) {
		err = h.resolveForKernel(a)
	} else if errno == 0 {
		err = h.resolveForUs(a)
	}
	if err != nil {
		return h.unserved(a, err)
	}
	return resolved
}

// resolveByNumber is Resolve for the older calls.
func (h *SendSignal) resolveByNumber(a *attempt) (o outcome) {
	var err error
	if a.caller, err = h.callers.sure(h, a.call.Tid); err == nil && !h.leftToItself(a) {
		a.early, err = h.resolveNumber(a)
	}
	if err != nil {
		return h.unserved(a, err)
	}
	return resolved
}

// resolveForUs finds out all that Decide looks at.
func (h *SendSignal) resolveForUs(a *attempt) (err error) {
	if a.early, err = h.identify(a); err != nil || a.early != 0 {
		return err
	}
	if a.early, err = h.checkAncestry(a); err != nil || a.early != 0 {
		return err
	}
	if a.req.given && !a.infoRead {
		a.early, err = h.readSiginfo(a)
	}
	return err
}

// resolveForKernel reads the siginfo alone: the kernel makes every check as it sends.
// Where the siginfo cannot be sent as it is, whom the descriptor names matters: to
// the order of the checks, and for codes that a caller may use for itself only.
func (h *SendSignal) resolveForKernel(a *attempt) (err error) {
	if !a.req.given {
		a.judged = true
		return nil
	}
	errno, err := h.readSiginfo(a)
	if err != nil {
		return err
	}
	a.infoRead = true
	if errno == 0 && !kernelOnly(a.info.Code()) {
		a.judged = true
		return nil
	}
	if err := h.resolveForUs(a); err != nil || a.early != 0 {
		return err
	}
	a.early = errno
	return nil
}

// kernelJudges tells of a caller whom the kernel would judge exactly as it judges the
// supervisor: the same namespaces, and in them the capability that decides every case.
// All that is left to the shim is to send in its name.
func (h *SendSignal) kernelJudges(a *attempt) bool {
	return h.Mode == ModeForward && (a.policy == nil || a.fixed) && a.logs == nil && h.path(a) == shim.PathForward && !h.Observed && h.Ledger == nil && h.hasOurRights(a)
}

// Decide answers with the errno that the kernel would give this caller, or 0.
func (h *SendSignal) Decide(a *attempt) unix.Errno {
	if a.judged {
		return 0
	}
	a.isCaller = a.target.pid != 0 && a.target.pid == a.call.Tid && !a.group()
	switch {
	case a.early != 0:
		return a.early
	case a.hasInfo && a.info.Signo() != a.req.sig:
		return unix.EINVAL
	case a.hasInfo && kernelOnly(a.info.Code()) && !a.isCaller && (!h.Rules.Original || a.req.byNumber()):
		return unix.EPERM
	case a.hasInfo && a.info.Code() == arch.SI_TKILL && !a.isCaller: // original, too
		return unix.EPERM
	case a.target.reaped && !a.group():
		return unix.ESRCH
	case a.group(): // members first, then the signal, then each one's permission
		if h.memberwise(a) {
			return 0
		}
		return h.judge(a)
	case uint32(a.req.sig) > maxSignal:
		return unix.EINVAL
	}
	if errno := h.judge(a); errno != 0 {
		return errno
	}
	return h.checkPermission(a)
}

// maxSignal is _NSIG.
const maxSignal = 64

// kernelOnly is check 10's range: codes that say the kernel or a kill made the signal.
func kernelOnly(code int32) bool { return code >= 0 || code == arch.SI_TKILL }

// unserved ends a Resolve that could not be carried out: the caller vanished, or we
// lack something, which the caller is told as ENOSYS because real programs know how
// to fall back from that.
func (h *SendSignal) unserved(a *attempt, err error) outcome {
	switch {
	case errors.Is(err, helper.ErrLate):
		return later
	case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE), errors.Is(err, unix.ENOMEM):
		h.giveBack() // and wait until others have given something back
		return later
	case h.Backend.Blocked(a.call) != nil:
		return gone
	}
	level := slog.LevelError
	if a.call.Slow && errors.Is(err, unix.ESRCH) { // killed while it waited aside, most likely
		level = slog.LevelDebug
	}
	h.Log.Log(context.Background(), level, "cannot serve a call: it gets ENOSYS", "tid", a.call.Tid, "error", err)
	a.early = unix.ENOSYS
	return resolved
}

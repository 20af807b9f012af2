package emulate

import (
	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/proc"
)

// A signal of which nobody sees who has sent it need not be sent by the caller: it goes
// through the handle, which needs no guard, and so is not felt by anybody. Those are
// signal 0, SIGKILL and SIGSTOP, and what the target ignores, which the kernel drops. To be
// pinned would even harm there: a traced task ignores nothing (kernel/signal.c,
// sig_ignored).

// unfelt tells of such a call, where the supervisor's right to send is the caller's: the
// same uids by the kernel's rule, or CAP_KILL, in one user namespace, and nobody confined.
// Where emulation has been asked for, only of what is felt otherwise.
func (h *SendSignal) unfelt(a *attempt) bool {
	t := &a.target
	if a.group() || !h.sendsByHandle(a) || a.req.byNumber() && t.thread && t.dir != nil {
		return false
	}
	if unseen(a.req.sig) {
		return a.inCaller && h.mayRepeat(a) && h.sameRight(a)
	}
	return (a.inCaller || h.Mode == ModeEmulate) && !a.caller.nested && h.ignores(t, a.req.sig) && h.sameRight(a)
}

// mayRepeat is for where the kernel can make a caller call again whose call was answered.
func (h *SendSignal) mayRepeat(a *attempt) bool {
	return h.Ledger == nil || unix.Signal(a.req.sig) != unix.SIGSTOP
}

// unseen tells of the signals whose siginfo no receiver sees.
func unseen(sig int32) bool {
	return sig == 0 || unix.Signal(sig) == unix.SIGKILL || unix.Signal(sig) == unix.SIGSTOP
}

// ignores tells of a target that drops the signal (kernel/signal.c, prepare_signal). If it
// wants the signal a moment later it finds one that came before or after: either is good.
// One that it has blocked is kept, whatever it does with it; while it waits for that in
// sigtimedwait(2) the kernel does not show it as blocked, and the signal comes as SI_QUEUE.
func (h *SendSignal) ignores(t *target, sig int32) bool {
	var status proc.Status
	if h.statusOf(t.pid, &status) != nil || status.TracerPid != 0 {
		return false
	}
	bit := uint64(1) << (sig - 1)
	switch {
	case status.Blocked&bit != 0:
		return false
	case status.Ignored&bit != 0:
		return true
	}
	return status.Caught&bit == 0 && (bit&ignoredByDefault != 0 || !mayBeForced(&status))
}

// ignoredByDefault is SIG_KERNEL_IGNORE_MASK, <linux/signal.h>.
const ignoredByDefault = 1<<(unix.SIGCONT-1) | 1<<(unix.SIGCHLD-1) | 1<<(unix.SIGWINCH-1) | 1<<(unix.SIGURG-1)

// sameRight tells of a caller whom the kernel would let send as it lets us.
func (h *SendSignal) sameRight(a *attempt) bool {
	if a.caller.labelled || h.Watch.mayBeConfined(a.caller) {
		return false
	}
	if foreign, err := h.foreignUserns(a.caller); foreign || err != nil {
		return false
	}
	to, err := h.targetCreds(&a.target)
	if err != nil || h.callerCreds(a) != nil {
		return false
	}
	if h.Self.mayByIDs(&a.creds, &to) {
		us := creds{tgid: -1, ruid: uint32(unix.Getuid()), euid: uint32(unix.Geteuid())}
		return h.Self.MayKill && h.Self.WholeUserns || h.Self.mayByIDs(&us, &to)
	}
	return h.hasOurRights(a)
}

package emulate

import (
	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/internal/sys"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// Send is check 14 and the signal itself. Precondition: Decide said 0, and the caller
// was seen waiting after the last thing read of it.
func (h *SendSignal) Send(a *attempt) shim.Verdict {
	unfelt, spared := h.unfelt(a), !a.group() && h.spared(a)
	itself := spared && a.target.tgid == a.caller.tgid // it may, and held it would not be spared
	if a.inCaller && !unfelt && !itself {
		if !h.Ledger.escapes(a.call.Tid) {
			if v, ok := h.byCaller(a); ok {
				return v
			}
		}
		if h.mayPass(a) { // next best, and as exact
			return h.pass(a.call)
		}
		if !a.group() { // whose members are judged one by one
			if errno := h.checkPermissionOutside(a); errno != 0 {
				return shim.Fail(errno)
			}
		}
	}
	var errno unix.Errno
	switch {
	case a.group():
		errno = h.sendGroup(a)
	case spared:
		a.call.Record.Path = h.path(a)
	case unfelt, h.path(a) == shim.PathForward:
		errno = h.forward(a, a.target.fd, a.req.flags)
	default:
		errno = h.emulate(a, &a.target)
	}
	if v, cut := cutShort(a.cut); cut {
		return v
	}
	return h.Ledger.sent(a, shim.Fail(errno))
}

// path is forward where the kernel has the call and means the same by it.
func (h *SendSignal) path(a *attempt) shim.Path {
	if h.Mode != ModeEmulate && h.sendsByHandle(a) {
		return shim.PathForward
	}
	return shim.PathEmulate
}

func (h *SendSignal) sendsByHandle(a *attempt) bool {
	native := NativeRules(h.Features)
	return h.Features.SendSignal && (!h.Rules.Original || a.req.byNumber()) && a.req.flags&^native.Flags == 0 &&
		(!a.target.self || native.SelfThread != 0)
}

// spared tells of a signal that the kernel would drop because the target is the init
// of the caller's own pid namespace. Coming from the supervisor, an ancestor, it would
// be forced. Only SIGKILL and SIGSTOP are: the others are dropped for an ancestor too.
func (h *SendSignal) spared(a *attempt) bool {
	sig := unix.Signal(a.req.sig)
	return (sig == unix.SIGKILL || sig == unix.SIGSTOP) && h.initOfOwn(a)
}

// forward sends through the handle: the kernel's own call, made by the supervisor.
func (h *SendSignal) forward(a *attempt, handle int, flags uint32) unix.Errno {
	r := &a.call.Record
	r.Path, r.Sent, r.Guard = shim.PathForward, shim.SentPidfdSendSignal, shim.GuardPidfd
	info, err := h.record(a)
	if info == nil && unix.Signal(a.req.sig) == unix.SIGSTOP { // which a tracer of the target's would see
		info, err = h.queued(a)
	}
	if err != nil {
		return errnoOf(err)
	}
	if h.Ledger == nil && info == nil && a.req.sig != 0 {
		a.call.Worker().HandOff() // what it does to a child of the caller's is told to the caller, and comes into its next call
	}
	if !a.commit() {
		return 0
	}
	errno := sys.PidfdSendSignal(handle, a.req.sig, info, flags)
	if errno != unix.EAGAIN {
		a.committed(errno)
	}
	a.target.known = a.target.known || errno != unix.EBADF
	if errno == unix.EAGAIN && !a.hasInfo { // a signal without siginfo is never refused for the queue's length
		errno = sys.PidfdSendSignal(handle, a.req.sig, nil, flags)
	}
	return errno
}

// record makes the siginfo to send: nil where it cannot be seen, the caller's own
// where it gave one, else SI_QUEUE in the caller's name, because a supervisor cannot
// send SI_USER for another process.
func (h *SendSignal) record(a *attempt) (*[arch.SiginfoSize]byte, error) {
	info := a.info
	switch sig := unix.Signal(a.req.sig); {
	case a.hasInfo && !h.asPlainKill(a):
		if kernelOnly(info.Code()) { // to itself, where the kernel cannot run the call
			info = arch.NewSiginfo(info.Signo(), info.Errno(), arch.SI_QUEUE)
			copy(info[12:], a.info[12:])
		}
		h.translateSender(a, &info)
	case sig == 0, sig == unix.SIGKILL, sig == unix.SIGSTOP:
		return nil, nil
	default:
		return h.queued(a)
	}
	h.out = info.Native()
	return &h.out, nil
}

// queued is SI_QUEUE in the caller's name.
func (h *SendSignal) queued(a *attempt) (*[arch.SiginfoSize]byte, error) {
	if err := h.callerCreds(a); err != nil {
		return nil, err
	}
	info := arch.NewSiginfo(a.req.sig, 0, arch.SI_QUEUE)
	info.SetSender(a.caller.tgid, a.creds.ruid)
	h.out = info.Native()
	return &h.out, nil
}

// asPlainKill tells of the one case in which the original patch replaced the siginfo.
func (h *SendSignal) asPlainKill(a *attempt) bool {
	return h.Rules.Original && !a.req.byNumber() && a.info.Code() == arch.SI_USER && !a.isCaller
}

// translateSender gives si_uid the number that the kernel, reading it in the
// supervisor's user namespace, takes for the caller's.
func (h *SendSignal) translateSender(a *attempt, info *arch.Siginfo) {
	if !arch.LayoutOf(info.Signo(), info.Code()).HasSender() {
		return
	}
	if foreign, err := h.foreignUserns(a.caller); err != nil || !foreign {
		return
	}
	uid := uidHere(a.caller, info.UID())
	if uid == invalidUID && h.inOurUserns(a.target.pid) { // the kernel translates between namespaces only
		uid = overflowUID
	}
	info.SetSender(info.Pid(), uid)
}

func (h *SendSignal) inOurUserns(pid int32) bool {
	dir, err := h.Proc.Dir(pid)
	if err != nil {
		return false
	}
	defer dir.Close()
	ns, err := dir.NS("user")
	return err == nil && ns == h.Self.Userns
}

// emulate sends by number, as on a kernel without the call, under a guard.
func (h *SendSignal) emulate(a *attempt, t *target) unix.Errno {
	r := &a.call.Record
	r.Path = shim.PathEmulate
	info, err := h.record(a)
	if err != nil {
		return errnoOf(err)
	}
	n := number{
		attempt: a, scope: a.scope(), tgid: t.tgid, pid: t.pid, sig: a.req.sig, info: info,
		judged: a.policy != nil, droppable: !a.hasInfo || a.info.Code() == arch.SI_USER,
	}
	errno, guard := h.guarded(a, t, &n)
	switch {
	case !n.refused:
	case h.Features.SendSignal: // the handle needs no pin
		return h.forward(a, t.fd, a.req.flags)
	default:
		h.Log.Error("cannot pin a target: the call gets ENOSYS", "pid", n.pid)
	}
	r.Sent, r.Guard = n.sent, guard
	r.Averted = errno == unix.ESRCH && n.sent == shim.SentNone
	return errno
}

// number is a signal addressed by number.
type number struct {
	attempt   *attempt
	scope     scope
	tgid, pid int32
	sig       int32
	info      *[arch.SiginfoSize]byte
	judged    bool // a policy allowed it
	refused   bool // because nothing keeps the number
	droppable bool // the siginfo is ours: send without it where the queue is full
	sent      shim.Sent
}

// send makes the one call. Precondition: a guard holds.
func (n *number) send() unix.Errno {
	if n.pid <= 0 || n.tgid <= 0 {
		return unix.ESRCH
	}
	if !n.attempt.commit() {
		return 0
	}
	errno := n.sendOnce()
	n.attempt.committed(errno)
	return errno
}

func (n *number) sendOnce() unix.Errno {
	if n.info == nil {
		return n.sendPlain()
	}
	var errno unix.Errno
	if n.scope == scopeThread {
		n.sent = shim.SentRtTgsigqueueinfo
		errno = sys.RtTgsigqueueinfo(n.tgid, n.pid, n.sig, n.info)
	} else {
		n.sent = shim.SentRtSigqueueinfo
		errno = sys.RtSigqueueinfo(n.pid, n.sig, n.info)
	}
	if errno == unix.EAGAIN && n.droppable {
		return n.sendPlain()
	}
	return errno
}

func (n *number) sendPlain() unix.Errno {
	if n.scope == scopeThread {
		n.sent = shim.SentTgkill
		return tgkill(n.tgid, n.pid, n.sig)
	}
	n.sent = shim.SentKill
	return kill(n.pid, n.sig)
}

// commit and committed stand right before and after the one thing that must not be done
// twice. Of a group it is the whole that counts. False: it must not be done, and a.cut says why.
func (a *attempt) commit() bool {
	if a == nil || a.req.sig == 0 || a.member || a.call.BeginSend() {
		return true
	}
	a.cut = shim.ErrGone
	return false
}

func (a *attempt) committed(errno unix.Errno) {
	if a != nil && !a.member {
		a.call.Sent(shim.Fail(errno))
	}
}

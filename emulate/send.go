package emulate

import (
	"log/slog"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/internal/sys"
	"github.com/pidfd-shim/pidfd-shim/internal/task"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// sender sends in a caller's name.
type sender struct {
	tasks  *task.View
	plan   *plan
	rights *rights
	judge  *judge
	groups groups
	guard  *guard
	ledger *Ledger
	log    *slog.Logger
	out    [arch.SiginfoSize]byte // what is sent
}

// send is check 14 and the signal itself, by one of the supervisor's own routes.
func (s *sender) send(a *attempt, r Route) unix.Errno {
	switch r {
	case RouteMembers:
		return s.sendGroup(a)
	case RouteNobody:
		a.call.Record.Path = s.plan.path(a)
		return 0
	case RouteHandle:
		return s.forward(a, a.target.fd, a.req.flags)
	}
	return s.emulate(a, &a.target)
}

// forward sends through the handle: the kernel's own call, made by the supervisor.
func (s *sender) forward(a *attempt, handle int, flags uint32) unix.Errno {
	r := &a.call.Record
	r.Path, r.Sent, r.Guard = shim.PathForward, shim.SentPidfdSendSignal, shim.GuardPidfd
	info, err := s.record(a)
	if info == nil && unix.Signal(a.req.sig) == unix.SIGSTOP { // which a tracer of the target's would see
		info, err = s.queued(a)
	}
	if err != nil {
		return errnoOf(err)
	}
	if s.ledger == nil && info == nil && a.req.sig != 0 {
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
func (s *sender) record(a *attempt) (*[arch.SiginfoSize]byte, error) {
	info := a.info
	switch sig := unix.Signal(a.req.sig); {
	case a.hasInfo && !s.plan.isPlainKill(a):
		if kernelOnly(info.Code()) { // to itself, where the kernel cannot run the call
			info = arch.NewSiginfo(info.Signo(), info.Errno(), arch.SI_QUEUE)
			copy(info[12:], a.info[12:])
		}
		s.translateSender(a, &info)
	case sig == 0, sig == unix.SIGKILL, sig == unix.SIGSTOP:
		return nil, nil
	default:
		return s.queued(a)
	}
	s.out = info.Native()
	return &s.out, nil
}

// queued is SI_QUEUE in the caller's name.
func (s *sender) queued(a *attempt) (*[arch.SiginfoSize]byte, error) {
	if err := a.callerCreds(s.tasks); err != nil {
		return nil, err
	}
	info := arch.NewSiginfo(a.req.sig, 0, arch.SI_QUEUE)
	info.SetSender(a.caller.tgid, a.creds.ruid)
	s.out = info.Native()
	return &s.out, nil
}

// isPlainKill reports the one case in which the original patch replaced the siginfo.
func (p *plan) isPlainKill(a *attempt) bool {
	return p.rules.Original && !a.req.byNumber() && a.info.Code() == arch.SI_USER && !a.isCaller
}

// translateSender gives si_uid the number that the kernel, reading it in the
// supervisor's user namespace, takes for the caller's.
func (s *sender) translateSender(a *attempt, info *arch.Siginfo) {
	if !arch.LayoutOf(info.Signo(), info.Code()).HasSender() {
		return
	}
	if foreign, err := s.rights.isForeign(a.caller); err != nil || !foreign {
		return
	}
	uid := uidHere(a.caller, info.UID())
	if uid == invalidUID && s.tasks.InUserns(a.target.pid) { // the kernel translates between namespaces only
		uid = task.OverflowUID
	}
	info.SetSender(info.Pid(), uid)
}

// emulate sends by number, as on a kernel without the call, under a guard.
func (s *sender) emulate(a *attempt, t *target) unix.Errno {
	r := &a.call.Record
	r.Path = shim.PathEmulate
	info, err := s.record(a)
	if err != nil {
		return errnoOf(err)
	}
	n := number{
		attempt: a, scope: a.scope(), tgid: t.tgid, pid: t.pid, sig: a.req.sig, info: info,
		policyAllowed: a.policy != nil, droppable: !a.hasInfo || a.info.Code() == arch.SI_USER,
	}
	errno, guard := s.guard.send(a, t, &n)
	switch {
	case !n.refused:
	case s.tasks.Features.SendSignal: // the handle needs no pin
		return s.forward(a, t.fd, a.req.flags)
	default:
		s.log.Error("cannot pin a target: the call gets ENOSYS", "pid", n.pid)
	}
	r.Sent, r.Guard = n.sent, guard
	r.Averted = errno == unix.ESRCH && n.sent == shim.SentNone
	return errno
}

package emulate

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/helper"
	"github.com/pidfd-shim/pidfd-shim/proc"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// Pinner holds a number's owner by PTRACE_SEIZE while a signal is sent to it: a traced
// task that dies stays a zombie, and its number its own, until its tracer has waited.
// The tracer is a helper process (pins.go), because a wait4(-1) of the supervisor, which
// reaps orphans, would take the tracer's stops for itself.
//
// What the target can notice: TracerPid for some 100 us, and the stop in which the
// tracer lets go makes epoll_wait and sigtimedwait return EINTR (ptrace(2), signal(7)).
type Pinner struct {
	helper.Helper
}

// send pins the owner of the number, sees through the handle that it is the target,
// and sends. The guard is seize only if the owner was held for the whole time.
func (p *Pinner) send(h *SendSignal, t *target, n *number) (errno unix.Errno, guard shim.Guard) {
	switch p.do(pinSeize, n.pid) {
	case 0:
	case unix.ESRCH: // nobody has the number, so the target has been reaped
		return unix.ESRCH, shim.GuardNone
	default: // a zombie, traced already, a kernel thread, not ours to trace
		if h.deadUnreaped(t, n.pid) {
			return 0, shim.GuardNone
		}
		return h.narrowed(t, n), shim.GuardNarrowed
	}
	errno = h.narrowed(t, n)
	if p.do(pinRelease, n.pid) != 0 {
		// The seizure was dropped meanwhile: another thread of the target called execve.
		return errno, shim.GuardNarrowed
	}
	return errno, shim.GuardSeize
}

// deadUnreaped tells of a target that is a zombie as a whole. It cannot be seized, and
// the kernel drops what is sent to it (kernel/signal.c, prepare_signal): nothing must
// be sent, because its number may be another's by then.
func (h *SendSignal) deadUnreaped(t *target, pid int32) bool {
	dir, err := h.Proc.Dir(pid)
	if err != nil {
		return false
	}
	defer dir.Close()
	var stat proc.Stat
	var status proc.Status
	if dir.Stat(&stat) != nil || stat.State != 'Z' && stat.State != 'X' {
		return false
	}
	// A dead leader with other threads is no dead process.
	alone := dir.Status(&status) == nil && (status.Tgid != pid || status.Threads <= 1)
	return alone && h.owns(t) // so it was the target's state that was read by number
}

func (p *Pinner) do(what uint32, pid int32) unix.Errno {
	var question [pinQuestion]byte
	var answer [pinAnswer]byte
	binary.LittleEndian.PutUint32(question[0:], what)
	binary.LittleEndian.PutUint32(question[4:], uint32(pid))
	if _, err := p.Ask(question[:], answer[:]); err != nil {
		return unix.ETIMEDOUT
	}
	return unix.Errno(binary.LittleEndian.Uint32(answer[:]))
}

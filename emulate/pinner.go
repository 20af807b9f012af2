package emulate

import (
	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/proc"
	"github.com/pidfd-shim/pidfd-shim/internal/tracee"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// Pinner holds a number's owner by PTRACE_SEIZE while a signal is sent to it: a traced
// task that dies stays a zombie, and its number its own, until its tracer has waited.
// Whoever was pinned is let go before the caller has its answer, and without a stop.
//
// What the target can notice: TracerPid for some 20 us, and that what it ignores is queued
// meanwhile and wakes it (kernel/signal.c, sig_ignored).
type Pinner struct{ Pins *tracee.Pins }

// send pins the owner of the number, sees through the handle that it is the target,
// and sends. The guard is seize only if the owner was held for the whole time.
func (p *Pinner) send(h *SendSignal, a *attempt, t *target, n *number) (errno unix.Errno, guard shim.Guard) {
	pin, errno := p.seize(a.call, n.pid)
	switch errno {
	case 0:
	case unix.ESRCH: // nobody has the number, so the target has been reaped
		return unix.ESRCH, shim.GuardNone
	default: // a zombie, traced already, a kernel thread, not ours to trace
		if h.deadUnreaped(t, n.pid) {
			return 0, shim.GuardNone
		}
		return h.unpinned(t, n)
	}
	defer pin.Release()
	h.holds = true
	return h.narrowed(t, n), shim.GuardSeize
}

// seize pins a task. That can wait for a task that is in an execve of its own.
func (p *Pinner) seize(c *shim.Call, pid int32) (*tracee.Pin, unix.Errno) {
	if c.Worker().Crowded() {
		return nil, unix.EAGAIN
	}
	c.Worker().EnterWait()
	defer c.Worker().Leave()
	return p.Pins.Pin(pid)
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

package emulate

import (
	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/proc"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// guarded sends by number while the strongest guard holds that can be had: a number is
// not given to another process while its owner is pinned. A caller that signals its own
// process is stopped in this very call and cannot be made to stop for a tracer.
func (h *SendSignal) guarded(a *attempt, t *target, n *number) (unix.Errno, shim.Guard) {
	if h.Pins != nil && h.Pins(n.pid) { // ours to reap, which this very thread does
		return h.narrowed(t, n), shim.GuardTracee
	}
	if t.tgid != a.caller.tgid && h.pinner != nil {
		return h.pinner.send(h, a, t, n)
	}
	return h.narrowed(t, n), shim.GuardNarrowed
}

// narrowed looks at the handle right before the send: what is left is the time between
// two system calls.
func (h *SendSignal) narrowed(t *target, n *number) unix.Errno {
	if !h.owns(t) {
		return unix.ESRCH
	}
	if h.beforeSend != nil {
		h.beforeSend()
	}
	return n.send()
}

// owns tells whether the handle's process still has the number: it was not reaped.
func (h *SendSignal) owns(t *target) bool {
	switch {
	case t.dir != nil:
		var stat proc.Stat
		return t.dir.Stat(&stat) == nil
	case h.Features.Info:
		var info proc.Info
		return proc.PidfdInfo(t.fd, &info) == nil && info.Pid == t.pid
	case t.fd <= 0: // the caller itself on a kernel without pidfds
		return true
	}
	fdinfo, err := h.Proc.FdInfoSelf(t.fd)
	return err == nil && fdinfo.Pid == t.pid
}

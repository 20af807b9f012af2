package emulate

import (
	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/proc"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// guarded sends by number while the strongest guard holds that can be had: a number is
// not given to another process while its owner is pinned. A caller that signals its own
// process is stopped in this very call and cannot be made to stop for a tracer.
func (h *SendSignal) guarded(a *attempt, t *target, n *number) (unix.Errno, shim.Guard) {
	h.pause(atEntry)
	if h.Keeper != nil {
		return h.kept(a, t, n)
	}
	if t.tgid != a.caller.tgid && h.pinner != nil {
		return h.pinner.send(h, a, t, n)
	}
	return h.unkept(a, t, n)
}

// kept sends while the backend keeps the number.
func (h *SendSignal) kept(a *attempt, t *target, n *number) (unix.Errno, shim.Guard) {
	hold, guard, errno := h.Keeper.Keep(n.pid)
	switch {
	case errno == 0:
		defer h.Keeper.Release(hold)
		return h.narrowed(t, n), guard
	case errno == unix.EALREADY: // nothing reaches it any more
		return 0, shim.GuardNone
	case errno == unix.ESRCH: // so the target has been reaped
		return unix.ESRCH, shim.GuardNone
	case t.tgid != a.caller.tgid && h.deadUnreaped(t, n.pid):
		return 0, shim.GuardNone
	}
	return h.unkept(a, t, n)
}

func (h *SendSignal) unkept(a *attempt, t *target, n *number) (unix.Errno, shim.Guard) {
	if t.tgid == a.caller.tgid && n.scope != scopeThread { // one of its threads may end first
		n.pid = n.tgid
	}
	return h.unpinned(t, n)
}

// narrowed looks at the handle right before the send: what is left is the time between
// two system calls.
func (h *SendSignal) narrowed(t *target, n *number) unix.Errno {
	h.pause(atGuarded)
	if !h.owns(t) {
		return unix.ESRCH
	}
	h.pause(atChecked)
	defer h.pause(atSent)
	return n.send()
}

// moment is a place between two steps of a guarded send, where a number may change hands.
type moment uint8

const (
	atEntry   moment = iota // a handle and a number
	atJudged                // the owner pin's own rule was asked
	atGuarded               // the guard holds what has the number
	atChecked               // the handle's process has it
	atSent                  // sent, and not yet let go
)

// pause lets a test act between two steps.
func (h *SendSignal) pause(at moment) {
	if h.between != nil {
		h.between(at)
	}
}

// owns tells whether the handle's process still has the number: it was not reaped.
func (h *SendSignal) owns(t *target) bool {
	switch {
	case t.own: // as long as the caller waits
		return true
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

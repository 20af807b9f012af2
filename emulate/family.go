package emulate

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/arch/abi"
	"github.com/pidfd-shim/pidfd-shim/internal/family"
	"github.com/pidfd-shim/pidfd-shim/internal/proc"
	"github.com/pidfd-shim/pidfd-shim/internal/sys"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// The calls by which a program gets a process descriptor or waits for one, where the kernel has
// none of them: Family keeps the descriptors, the caller itself makes and has them. The
// errors are those of 6.18.

// PidfdOpen handles pidfd_open (kernel/pid.c).
func (h *SendSignal) PidfdOpen(c *shim.Call) shim.Verdict {
	h.begin()
	defer h.busy.Store(false)
	pid, flags := c.Args.Int(0), c.Args.Uint(1)
	switch {
	case abi.Of(c.ABI).Mark != 0 && !h.Features.Marked:
		return shim.Fail(unix.ENOSYS)
	case flags&^(unix.PIDFD_NONBLOCK|unix.PIDFD_THREAD) != 0, pid <= 0:
		return shim.Fail(unix.EINVAL)
	}
	thread := flags&unix.PIDFD_THREAD != 0
	here, errno, err := h.named(c, pid, thread)
	if err != nil {
		return h.cannotServe(c, err)
	}
	if errno != 0 {
		return shim.Fail(errno)
	}
	target, err := h.Family.Watch(here, thread)
	switch {
	case errors.Is(err, unix.ESRCH):
		return shim.Fail(unix.ESRCH)
	case err != nil:
		return h.cannotServe(c, err)
	case h.Backend.Blocked(c) != nil:
		h.Family.Leave(target)
		return shim.Gone()
	}
	c.Record.TargetPid = here
	return shim.Steps(h.Family.Open(c.Tid, c.ABI, target, flags&unix.PIDFD_NONBLOCK != 0))
}

// named finds whom the caller means by a number.
func (h *SendSignal) named(c *shim.Call, pid int32, thread bool) (here int32, errno unix.Errno, err error) {
	caller, err := h.callers.sure(h, c.Tid)
	if err != nil {
		return 0, 0, err
	}
	var status proc.Status
	if here, err = h.numberHere(caller, pid); err == nil {
		err = h.statusOf(here, &status)
	}
	switch {
	case errors.Is(err, unix.ESRCH), errors.Is(err, unix.ENOENT):
		return 0, unix.ESRCH, nil
	case err != nil:
		return 0, 0, err
	case !thread && status.Tgid != here:
		return 0, unix.ENOENT, nil // EINVAL up to 6.12
	}
	return here, 0, nil
}

// cannotServe is unserved for calls without an attempt.
func (h *SendSignal) cannotServe(c *shim.Call, err error) shim.Verdict {
	a := attempt{call: c}
	switch h.unserved(&a, err) {
	case gone:
		return shim.Gone()
	case later:
		return shim.Later()
	}
	return shim.Fail(a.early)
}

// The options of waitid (kernel/exit.c, kernel_waitid_prepare).
const (
	waitKinds   = unix.WEXITED | unix.WSTOPPED | unix.WCONTINUED
	waitOptions = waitKinds | unix.WNOHANG | unix.WNOWAIT | unix.WNOTHREAD | unix.WCLONE | unix.WALL
	idPidfd     = 3 // P_PIDFD
)

// Wait handles wait4 and waitid. What they do is the kernel's; but a caller who was woken by
// a descriptor, and asks at once, is held here until its child can be waited for.
func (h *SendSignal) Wait(c *shim.Call) shim.Verdict {
	h.begin()
	defer h.busy.Store(false)
	options := c.Args.Uint(3)
	if c.What != arch.Waitid || c.Args.Int(0) != idPidfd || options&^waitOptions != 0 || options&waitKinds == 0 || c.Args.Int(1) < 0 {
		c.Record.Quiet = true
		return shim.Pass()
	}
	caller, err := h.callers.sure(h, c.Tid)
	if err != nil {
		return h.cannotServe(c, err)
	}
	m, ours, err := h.Family.Find(c.Tid, c.Args.Int(1))
	if err != nil {
		return h.cannotServe(c, err)
	}
	errno := unix.Errno(0)
	number, visible := caller.number, false // whose child it is not itself
	switch {
	case !ours:
		errno = unix.EBADF
	case m.Dir >= 0:
		sys.Close(m.Dir)
		if n, ok := h.numberFor(caller, m.Pid); ok {
			number, visible = n, true
		}
	}
	if ours && !visible {
		errno = unix.ECHILD
	}
	c.Record.TargetPid = m.Pid
	return shim.Steps(family.Wait(c.ABI, number, m, c.Args, errno))
}

// cloneDetached is CLONE_DETACHED, which clone has taken no notice of for long.
const cloneDetached = 0x400000

// Clone handles clone with CLONE_PIDFD (kernel/fork.c, copy_process).
func (h *SendSignal) Clone(c *shim.Call) shim.Verdict {
	h.begin()
	defer h.busy.Store(false)
	switch flags := c.Args.Uint(0); {
	case flags&unix.CLONE_PIDFD == 0:
		return shim.Pass()
	case abi.Of(c.ABI).Mark != 0 && !h.Features.Marked:
		return shim.Fail(unix.ENOSYS)
	case flags&(cloneDetached|unix.CLONE_PARENT_SETTID) != 0:
		return shim.Fail(unix.EINVAL)
	}
	return shim.Steps(h.Family.Clone(c.Tid, c.ABI, c.Args))
}

// takeOurs is takeDescriptor for one of ours: its target's /proc directory, which every kernel
// takes for a descriptor of the process.
func (h *SendSignal) takeOurs(a *attempt) (fd int, ours bool, err error) {
	if h.Family == nil {
		return -1, false, nil
	}
	m, ours, err := h.Family.Find(a.call.Tid, a.req.pidfd)
	a.target.reaped, a.target.thread, a.target.within = m.Reaped, m.Thread, m.Within
	return m.Dir, ours, err
}

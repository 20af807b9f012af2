package emulate

import (
	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/proc"
	"github.com/pidfd-shim/pidfd-shim/internal/sys"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// unpinned sends by number where nobody's number could be kept from changing hands. What a
// policy has judged is not sent so: its owner could be another by then.
//
// A caller's own process is among these. Its waiting does not pin it: SIGKILL, or another
// thread's exit_group, ends the wait, and then its parent may reap it at any moment.
func (h *SendSignal) unpinned(t *target, n *number) (unix.Errno, shim.Guard) {
	if errno, held := h.byOwner(t, n); held {
		return errno, shim.GuardOwner
	}
	if !n.judged || n.sig == 0 {
		return h.narrowed(t, n), shim.GuardNarrowed
	}
	if !h.owns(t) {
		return unix.ESRCH, shim.GuardNone
	}
	n.refused = true
	return unix.ENOSYS, shim.GuardNone
}

// byOwner makes the target the owner of a pipe that sends the signal when it is written
// to (fcntl(2), F_SETOWN_EX and F_SETSIG). The number is looked up once, and the task it
// meant stays the owner, also when the number is another's: if the handle's process has
// the number still, it was that one. What comes has the siginfo of a SIGIO, hence only for
// signals whose siginfo no receiver sees. False: not for this signal or target.
func (h *SendSignal) byOwner(t *target, n *number) (errno unix.Errno, held bool) {
	if !h.mayOwn(t, n) {
		return 0, false
	}
	h.pause(atJudged)
	var pipe [2]int
	if unix.Pipe2(pipe[:], unix.O_CLOEXEC|unix.O_NONBLOCK) != nil {
		return 0, false
	}
	defer sys.Close(pipe[1])
	defer sys.Close(pipe[0]) // first: the other end's close is a reason to signal, too
	switch aim(pipe[0], n) {
	case 0:
	case unix.ESRCH: // nobody has the number, so the target has been reaped
		return unix.ESRCH, true
	default:
		return 0, false
	}
	h.pause(atGuarded)
	if !h.owns(t) {
		return unix.ESRCH, true
	}
	h.pause(atChecked)
	if _, err := unix.FcntlInt(uintptr(pipe[0]), unix.F_SETFL, unix.O_ASYNC|unix.O_NONBLOCK); err != nil {
		return 0, false
	}
	n.sent = shim.SentKill // what it does
	if _, err := unix.Write(pipe[1], []byte{0}); err != nil {
		return errnoOf(err), true
	}
	h.pause(atSent)
	return 0, true
}

// aim makes the task that has the number the owner of a descriptor, which does not signal
// yet.
func aim(fd int, n *number) unix.Errno {
	owner := sys.F_OWNER_PID
	if n.scope == scopeThread {
		owner = sys.F_OWNER_TID
	}
	if errno := sys.SetOwner(fd, owner, n.pid); errno != 0 {
		return errno
	}
	_, err := unix.FcntlInt(uintptr(fd), unix.F_SETSIG, int(n.sig))
	return errnoOf(err)
}

// mayOwn tells of what an owner pin can send, and to whom. A refusal would not be told:
// so it is only for those to whom it is sure to come. What is read by number here is the
// target's if the handle has the number afterwards.
func (h *SendSignal) mayOwn(t *target, n *number) bool {
	if n.sig == 0 || !unseen(n.sig) {
		return false
	}
	var status proc.Status
	if h.statusOf(n.pid, &status) != nil || !mayBeForced(&status) {
		return false
	}
	to := credsOf(&status)
	if n.scope != scopeThread {
		var err error
		if to, err = h.targetCreds(t); err != nil {
			return false
		}
	}
	return h.Self.mayOwn(uint32(unix.Getuid()), uint32(unix.Geteuid()), &to)
}

// mayBeForced is false for the init of a pid namespace below ours: what is sent for a
// descriptor does not come from an ancestor, so it would be dropped (kernel/signal.c,
// sig_task_ignored).
func mayBeForced(s *proc.Status) bool {
	return s.NSpids == 1 || s.NSpids > 1 && s.NSpid[s.NSpids-1] != 1
}

// mayOwn is the kernel's rule for the signals of a descriptor (fs/fcntl.c, sigio_perm):
// root of the first user namespace, or the armer's effective or real uid is the target's
// saved or real one. CAP_KILL plays no part.
func (s Self) mayOwn(ruid, euid uint32, to *creds) bool {
	from := creds{tgid: -1, ruid: ruid, euid: euid}
	return euid == 0 && s.WholeUserns || s.mayByIDs(&from, to)
}

package emulate

import (
	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/internal/sys"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// number is a signal addressed by number.
type number struct {
	attempt       *attempt
	scope         scope
	tgid, pid     int32
	sig           int32
	info          *[arch.SiginfoSize]byte
	policyAllowed bool
	refused       bool // because nothing keeps the number
	droppable     bool // the siginfo is ours: send without it where the queue is full
	sent          shim.Sent
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

// kill and tgkill are the only places that send to a bare number, and they never get
// one that means a group, everybody, or nobody.

func kill(pid, sig int32) unix.Errno {
	if pid <= 0 {
		return unix.ESRCH
	}
	return errnoOf(unix.Kill(int(pid), unix.Signal(sig))) //nolint:forbidigo // a guard holds the number meanwhile: see guard.go
}

func tgkill(tgid, tid, sig int32) unix.Errno {
	if tgid <= 0 || tid <= 0 {
		return unix.ESRCH
	}
	return errnoOf(unix.Tgkill(int(tgid), int(tid), unix.Signal(sig)))
}

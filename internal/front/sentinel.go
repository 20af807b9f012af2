package front

import (
	"encoding/binary"
	"os"
	"structs"
	"time"

	"golang.org/x/sys/unix"
)

// groupSentinel is a process in the front's group that nobody signals by its number:
// what it got, the whole group got, COMMAND included. The record of a signal
// cannot tell (a kill of one process and a kill of its group look alike), and
// COMMAND must have each signal once.
//
// It can be asked without a race: the kernel signals a group newest member first
// (attach_pid adds at the head, __kill_pgrp_info walks from it; kernel/pid.c,
// kernel/signal.c), so that by the time the front has a group's signal, the
// younger sentinel has it too. kill(-1, ...) goes the other way, and may be taken
// for a signal to the front alone.
//
// It shares the front's memory (no exec, some 40 us) and dies with it.
type groupSentinel struct {
	pid   int // 0 after it was lost
	sock  int // it ends with stop, not with this
	taken sigset
}

// shared is shared with the assembly by offset: see cloneSentinel.
var shared struct {
	_      structs.HostLayout
	parent int64    // 0: the front's pid
	sock   int64    // 8
	set    sigset   // 16: what is asked
	answer int64    // 24: the signal taken, or -errno
	zero   [2]int64 // 32: struct timespec
}

func cloneSentinel() (pid int)

// newGroupSentinel starts the sentinel. Precondition: the calling thread has all signals
// blocked, and lives as long as the process (PR_SET_PDEATHSIG looks at threads).
func newGroupSentinel() (*groupSentinel, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socketpair", err)
	}
	shared.parent, shared.sock = int64(os.Getpid()), int64(pair[1])
	pid := cloneSentinel()
	if pid < 0 {
		return nil, os.NewSyscallError("clone", unix.Errno(-pid))
	}
	return &groupSentinel{pid: pid, sock: pair[0]}, nil
}

// saw takes sig from the sentinel, and tells whether it was there. SIGCONT and the
// stop signals take each other away while they are pending (kernel/signal.c,
// prepare_signal), so that one of them stands for its rivals too: a SIGCONT of the
// group, passed on as if it were the front's, undid the ^Z that followed (seen).
func (w *groupSentinel) saw(sig unix.Signal) bool {
	rivals := rivalsOf(sig)
	if w.take(sig) {
		w.taken &^= rivals // notes of theirs would have come before this one
		return true
	}
	for _, rival := range rivals.signals() {
		if w.take(rival) {
			w.taken |= setOf(rival) // its own note is still to come
			return true
		}
	}
	return false
}

func rivalsOf(sig unix.Signal) sigset {
	stops := setOf(unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU)
	switch {
	case sig == unix.SIGCONT:
		return stops
	case stops.has(sig):
		return setOf(unix.SIGCONT)
	}
	return 0
}

// take takes sig, from what saw has put aside or from the process.
func (w *groupSentinel) take(sig unix.Signal) bool {
	if w == nil || w.pid == 0 {
		return false
	}
	if w.taken.has(sig) {
		w.taken &^= setOf(sig)
		return true
	}
	var question, answer [8]byte
	binary.NativeEndian.PutUint64(question[:], uint64(setOf(sig)))
	if _, err := unix.Write(w.sock, question[:]); err != nil {
		return false
	}
	for tries := 0; !readable(w.sock, time.Second); tries++ {
		if tries == 10 || !isIn(w.pid, "RSD") { // someone has killed or stopped it
			w.stop()
			return false
		}
	}
	if _, err := unix.Read(w.sock, answer[:]); err != nil {
		return false
	}
	return binary.NativeEndian.Uint64(answer[:]) == uint64(sig)
}

func (w *groupSentinel) stop() {
	if w == nil || w.pid == 0 {
		return
	}
	_ = unix.Shutdown(w.sock, unix.SHUT_RDWR) // enough, but for one that is stopped; and where kill is refused
	_ = unix.Kill(w.pid, unix.SIGKILL)        //nolint:forbidigo // our unreaped child: the number is its own
	for {
		if _, err := unix.Wait4(w.pid, nil, unix.WALL, nil); err != unix.EINTR {
			break
		}
	}
	w.pid = 0
}

// readable waits until fd has something to read, its end included.
func readable(fd int, limit time.Duration) bool {
	deadline := time.Now().Add(limit)
	for {
		left := max(0, time.Until(deadline))
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(left.Milliseconds()))
		if err != unix.EINTR {
			return n > 0
		}
	}
}

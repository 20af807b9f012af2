package front

import (
	"errors"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// parent is the thread that has forked COMMAND. It lives as long as COMMAND does: to the
// kernel a parent is a thread, and who has asked for a signal at its parent's death
// (PR_SET_PDEATHSIG) gets it when that thread ends (kernel/exit.c, reparent_leader).
// The events of its child are its own to see, too (__WNOTHREAD): without that a wait would
// see the stops that other threads of ours, as tracers, cause. But who waits so is not woken
// by the stops of a child that another process traces (kernel/exit.c, child_wait_callback
// compares with its tracer), so there it does not.
//
// It is under the filter, with every signal blocked. So it does nothing but to read, wait
// and write, in memory it has already: an allocation could have it begin a collection of
// garbage, which interrupts other threads by tgkill, and nobody answers that call while
// they are stopped.
type parent struct {
	tid    int
	whose  int // __WNOTHREAD, or 0 where COMMAND's tracer is another process
	child  int
	theirs int // the thread's end: a byte for each event
	ours   int // the reaper's: a byte when it has dealt with what there was; its end ends the thread
	word   [1]byte
}

// newParent is called on the thread, before it forks.
func newParent(whose int) (*parent, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socketpair", err)
	}
	return &parent{tid: unix.Gettid(), whose: whose, theirs: pair[0], ours: pair[1]}, nil
}

// stay is what the thread does from the fork on, until it may end.
func (p *parent) stay() {
	for p.receive(p.theirs) {
		_ = noteChild(p.child, p.whose)
		p.send(p.theirs)
	}
}

// noteChild waits for an event of our thread's child and leaves it there to be taken.
func noteChild(pid, whose int) error {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WSTOPPED|unix.WCONTINUED|unix.WNOWAIT|whose, nil)
		if err != unix.EINTR { //nolint:errorlint // never wrapped
			return err
		}
	}
}

// listen has a value come to events for each event. The reaper answers with next.
func (p *parent) listen(events chan<- struct{}) {
	var word [1]byte
	for {
		if receivePacket(p.ours, word[:]) != nil {
			return
		}
		events <- struct{}{}
	}
}

// next has the thread look for the next event.
func (p *parent) next() { _ = sendPacket(p.ours, []byte{0}, 0) }

// end ends the thread: its other children are the main thread's then.
func (p *parent) end() {
	if p == nil || p.ours < 0 {
		return
	}
	_ = unix.Shutdown(p.ours, unix.SHUT_RDWR)
	closeAll(p.ours)
	p.ours = -1
	// Nothing tells of a thread's end. Its number is not used again at once.
	for start := time.Now(); time.Since(start) < time.Second; runtime.Gosched() {
		if errors.Is(unix.Tgkill(os.Getpid(), p.tid, 0), unix.ESRCH) {
			break
		}
		time.Sleep(20 * time.Microsecond) //nolint:forbidigo // see above
	}
	closeAll(p.theirs)
}

func (p *parent) receive(sock int) bool {
	for {
		n, err := unix.Read(sock, p.word[:])
		if err != unix.EINTR { //nolint:errorlint // never wrapped
			return err == nil && n == len(p.word)
		}
	}
}

func (p *parent) send(sock int) { _, _ = unix.Write(sock, p.word[:]) }

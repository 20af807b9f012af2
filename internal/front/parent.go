package front

import (
	"errors"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/kernel"
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
	over   atomic.Bool // the thread is to end, whatever COMMAND does
	gone   atomic.Bool // it has
	ended  bool        // so has end: nothing is open any more

	listened chan struct{} // closed at the end of listen; nil where nobody has begun it
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
	setMask(everything &^ setOf(unix.SIGURG, interrupting))
	for p.receive(p.theirs) && p.noteChild() {
		p.send(p.theirs)
	}
	_ = unix.Shutdown(p.theirs, unix.SHUT_RDWR)
}

// noteChild waits for an event of our thread's child and leaves it there to be taken.
func (p *parent) noteChild() bool {
	for !p.over.Load() {
		err := unix.Waitid(unix.P_PID, p.child, nil, unix.WEXITED|unix.WSTOPPED|unix.WCONTINUED|unix.WNOWAIT|kernel.OwnWait|p.whose, nil)
		if err != unix.EINTR {
			return true
		}
	}
	return false
}

// interrupting is the signal by which the thread is taken out of its wait: its handler does
// not have the kernel begin that again.
const interrupting = unix.SIGPROF

// listen has a value come to events for each event, and closes them with the thread's end.
// The reaper answers with next, so there is room for each.
func (p *parent) listen() <-chan struct{} {
	events := make(chan struct{}, 1)
	p.listened = make(chan struct{})
	go func() {
		defer close(p.listened)
		defer close(events)
		for word := [1]byte{}; receivePacket(p.ours, word[:]) == nil; {
			events <- struct{}{}
		}
	}()
	return events
}

// next has the thread look for the next event.
func (p *parent) next() { _ = sendPacket(p.ours, []byte{0}, 0) }

// end ends the thread: its other children are the main thread's then.
func (p *parent) end() {
	if p == nil || p.ended {
		return
	}
	_ = unix.Shutdown(p.ours, unix.SHUT_RDWR)
	p.quit()
	if p.listened != nil { // who still reads must not find another's descriptor there
		<-p.listened
	}
	closeAll(p.ours, p.theirs)
	p.ended = true
}

// quit ends the thread, and COMMAND gets the signal that it has asked for, if it has.
func (p *parent) quit() {
	p.over.Store(true)
	// Nothing tells of a thread's end. Its number is not used again at once.
	for start := time.Now(); !p.gone.Load() && time.Since(start) < time.Second; {
		if errors.Is(unix.Tgkill(os.Getpid(), p.tid, interrupting), unix.ESRCH) {
			p.gone.Store(true)
		}
		time.Sleep(20 * time.Microsecond) //nolint:forbidigo // see above
	}
}

func (p *parent) receive(sock int) bool {
	for {
		n, err := unix.Read(sock, p.word[:])
		if err != unix.EINTR || p.over.Load() {
			return err == nil && n == len(p.word)
		}
	}
}

func (p *parent) send(sock int) { _, _ = unix.Write(sock, p.word[:]) }

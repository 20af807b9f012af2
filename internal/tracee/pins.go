package tracee

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/sys"
)

// Pins keep the numbers of tasks their own: a traced task that dies stays a zombie until
// its tracer has waited, or has ended. Each pin is a task of this process that seizes the
// target, waits, and ends. By its end the target is let go without a stop, so that nothing
// it waits in says EINTR (kernel/ptrace.c, exit_ptrace); to let go of it in any other way
// it would have to stop.
//
// The tasks are none of the Go runtime's, which would abort where one cannot be had. One is
// kept ready, for then a pin costs neither a clone nor, where all are taken, a call. They are
// the process's: whoever pins next takes what somebody else has left.
type Pins struct{ Held *Held }

// holders are the process's tasks that pin.
var holders struct {
	mu     sync.Mutex           // guards below
	living map[*holder]struct{} // each reads its struct until it has ended: the collector must not have that
	ready  []*holder
}

// Pin is one task that keeps its number.
type Pin struct {
	pins *Pins
	by   *holder
	tid  int32
}

// Pin seizes a task. That can wait for one that is in an execve of its own, and waits a
// little for one that another thread of this process is about to let go of. It outlives an
// execve by another thread of the task's process: without TRACEEXIT a leader's seizure is
// dropped then, silently; with it the leader stops before it ends, and execve waits for
// that. EAGAIN: there is no task to do it.
func (p *Pins) Pin(tid int32) (*Pin, unix.Errno) {
	by, errno := p.take()
	if errno != 0 {
		return nil, errno
	}
	errno = p.seize(by, tid)
	for try := 0; errno == unix.EPERM && try < pinTries && p.Held.awaitFree(tid, pinPatience); try++ {
		errno = p.seize(by, tid) // it is not ours now, but others of ours may be faster
	}
	if errno != 0 {
		p.put(by)
		return nil, errno
	}
	return &Pin{p, by, tid}, 0
}

func (p *Pins) seize(by *holder, tid int32) unix.Errno {
	p.Held.hold(tid)
	errno := by.seize(tid)
	if errno != 0 {
		p.Held.drop(tid, false)
	}
	return errno
}

// pinPatience is for one that never stops for the thread that wants to let go of it: a
// caller that was held.
const (
	pinPatience = 20 * time.Millisecond
	pinTries    = 8
)

// Release returns when the task is traced no more. The zero Pin holds nobody.
func (p *Pin) Release() {
	if p == nil || p.by == nil {
		return
	}
	p.by.end()
	p.by = nil
	p.pins.Held.drop(p.tid, hasNews(p.tid))
}

// Stock makes a task ready for the next pin, if there is none.
func (p *Pins) Stock() {
	holders.mu.Lock()
	stocked := len(holders.ready) > 0
	holders.mu.Unlock()
	if stocked {
		return
	}
	if h := startHolder(); h != nil {
		p.put(h)
	}
}

func (p *Pins) take() (*holder, unix.Errno) {
	holders.mu.Lock()
	if last := len(holders.ready) - 1; last >= 0 {
		h := holders.ready[last]
		holders.ready = holders.ready[:last]
		holders.mu.Unlock()
		return h, 0
	}
	holders.mu.Unlock()
	if h := startHolder(); h != nil {
		return h, 0
	}
	return nil, unix.EAGAIN
}

func (p *Pins) put(h *holder) {
	holders.mu.Lock()
	defer holders.mu.Unlock()
	holders.ready = append(holders.ready, h)
}

// What a holder does next, or has done.
const (
	holderIdle   = 0
	holderAsked  = 1 // to seize
	holderSeized = 2 // or refused
	holderEnds   = 3
)

// seize has the task traced by the holder.
func (h *holder) seize(tid int32) unix.Errno {
	h.target = int64(tid)
	h.comeHere()
	h.tell(holderAsked)
	for h.state.Load() == holderAsked {
		sys.FutexWait(&h.state, holderAsked)
	}
	errno := unix.Errno(-h.result)
	if errno != 0 {
		h.tell(holderIdle)
	}
	return errno
}

// end returns when the holder is gone: it leaves the process's list of threads right after
// it has let go of its tracees (kernel/exit.c, exit_notify). If it does not get to run, or
// another thread of ours has its number by now, it stays among the living.
func (h *holder) end() {
	h.tell(holderEnds)
	pid := unix.Getpid()
	for try := range endTries {
		if unix.Tgkill(pid, int(h.tid), 0) != nil {
			holders.mu.Lock()
			defer holders.mu.Unlock()
			delete(holders.living, h)
			return
		}
		giveWay(try)
	}
}

// endTries are some seconds.
const endTries = 30_000

package ptrace

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/tracee"
)

// pins hold tasks that are not of the tree, for the sake of their numbers. Each is a thread
// of its own: the loop of the tracer must not wait for an execve of somebody else's
// (kernel/ptrace.c, ptrace_attach takes cred_guard_mutex), least of all for one that waits
// for the loop to see another of its threads end; and the stops of such a task are not the
// loop's to see. All threads are started beforehand: what a caller does must not need one.
type pins struct {
	held  tracee.Held
	all   tracee.Pins
	queue chan *pin
	mu    sync.Mutex // guards below
	of    map[int32]*pin
	busy  int // threads that have somebody, or try to, or have still to let go
}

// pin is one task, for all the calls that name it at a time.
type pin struct {
	pid   int32
	users int           // guarded by pins.mu
	since time.Time     // guarded by pins.mu
	known chan struct{} // closed when these are
	has   *tracee.Pin
	errno unix.Errno
	free  chan struct{} // closed when nobody uses it any more
}

const (
	pinThreads  = 8
	pinPatience = 20 * time.Millisecond

	// shareable is for how long a task is held for calls that keep coming: it stops for the
	// first signal that it gets, and cannot be reaped.
	shareable = time.Millisecond
)

func (ps *pins) start() {
	ps.of, ps.queue = map[int32]*pin{}, make(chan *pin, pinThreads)
	ps.all.Held = &ps.held
	for range pinThreads {
		go ps.serve()
	}
}

// serve is one thread, for what can wait.
func (ps *pins) serve() {
	for p := range ps.queue {
		p.has, p.errno = ps.all.Pin(p.pid)
		close(p.known)
		<-p.free
		p.has.Release() // unless that has been done
		ps.all.Stock()
		ps.mu.Lock()
		ps.busy--
		ps.mu.Unlock()
	}
}

// keep seizes a task, or shares its seizure. EAGAIN: that takes too long, or would.
func (ps *pins) keep(pid int32) (*pin, unix.Errno) {
	p := ps.use(pid)
	if p == nil {
		return nil, unix.EAGAIN
	}
	errno := unix.EAGAIN
	timer := time.NewTimer(pinPatience)
	defer timer.Stop()
	select {
	case <-p.known:
		errno = p.errno
	case <-timer.C:
	}
	if errno != 0 {
		ps.release(p)
		return nil, errno
	}
	return p, 0
}

// use is one more user of a task's pin, nil where there can be none.
func (ps *pins) use(pid int32) *pin {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	p := ps.of[pid]
	switch {
	case p != nil && time.Since(p.since) > shareable, p == nil && ps.busy >= pinThreads:
		return nil
	case p == nil:
		p = &pin{pid: pid, since: time.Now(), known: make(chan struct{}), free: make(chan struct{})}
		ps.of[pid] = p
		ps.busy++
		ps.queue <- p
	}
	p.users++
	return p
}

func (ps *pins) release(p *pin) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if p.users--; p.users > 0 {
		return
	}
	delete(ps.of, p.pid)
	select {
	case <-p.known: // at once: nobody is to be traced when the caller's call has returned
		p.has.Release()
	default:
	}
	close(p.free)
}

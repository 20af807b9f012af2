package shim

import (
	"cmp"
	"sync"
	"sync/atomic"
	"time"
)

// lanes keeps one caller whose memory never answers from delaying the others.
//
// The fast lane is a worker that reads memory itself. A read can block for ever
// (process_vm_readv on a userfaultfd page waits uninterruptibly), so a watch
// replaces a worker that has been in one read since the last tick. From then on
// Suspicious is true and handlers send calls that read memory to the slow lane,
// where killable processes read with a deadline and a call that is not ready
// queues again.
type lanes struct {
	done       chan error
	finishOnce sync.Once
	slowOnce   sync.Once // the slow lane's start: most supervisors never need it
	loops      sync.WaitGroup

	Suspicious atomic.Bool

	pause time.Duration // of the slow lane's rest

	mu      sync.Mutex // guards below
	fresh   []Call
	stuck   []Call
	wake    *sync.Cond
	closed  bool
	current [laneCount]*Worker

	behind atomic.Int32 // workers that were replaced and still have a call
}

// The lanes.
const (
	fast = iota
	slow
	laneCount
)

func (l *lanes) init() {
	l.done = make(chan error, 1)
	l.pause = cmp.Or(l.pause, tick)
	l.wake = sync.NewCond(&l.mu)
}

func (l *lanes) finish(err error) {
	l.finishOnce.Do(func() { l.done <- err })
}

func (l *lanes) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.wake.Broadcast()
}

// startWorker begins a new fast lane.
func (s *Supervisor) startWorker() {
	w := &Worker{behind: &s.lanes.behind}
	if !s.Alone {
		w.replace = s.startWorker
	}
	s.lanes.set(fast, w)
	s.lanes.loops.Go(func() { s.work(w) })
}

func (s *Supervisor) startSlowWorker() {
	w := &Worker{behind: &s.lanes.behind, replace: s.startSlowWorker}
	s.lanes.set(slow, w)
	s.lanes.loops.Go(func() { s.serveSlow(w) })
}

func (l *lanes) set(lane int, w *Worker) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.current[lane] = w
}

func (l *lanes) workers() [laneCount]*Worker {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.current
}

func (s *Supervisor) replaceStuck(w *Worker) {
	if w.reads.Load() && !s.lanes.Suspicious.Load() {
		s.Log.Warn("a caller's memory does not answer: its sandbox is read by separate processes from now on")
		s.lanes.Suspicious.Store(true)
	}
	w.StayBehind()
}

// Suspicious tells handlers that reading a caller's memory has been seen to block.
func (s *Supervisor) Suspicious() bool { return s.lanes.Suspicious.Load() }

// postpone queues a copy of the call for the slow lane: calls that have not been tried
// there come before those that have.
func (s *Supervisor) postpone(c *Call) {
	l := &s.lanes
	l.slowOnce.Do(s.startSlowWorker)
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.Slow {
		l.stuck = append(l.stuck, *c)
	} else {
		l.fresh = append(l.fresh, *c)
	}
	l.wake.Signal()
}

// serveSlow is the loop of the slow lane. A call that is still not ready goes to the
// end of the queue, and the lane rests before it tries the next.
func (s *Supervisor) serveSlow(w *Worker) {
	w.begin()
	defer w.end()
	handlers := s.Handlers()
	for !w.Replaced() {
		c, ok := s.lanes.takeSlow()
		if !ok {
			return
		}
		c.Slow, c.worker = true, w
		c.forget()
		if s.Backend.Blocked(&c) != nil {
			c.Finished()
		} else if !s.serveOne(&c, handlers) {
			s.lanes.rest()
		}
	}
}

func (l *lanes) takeSlow() (c Call, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.fresh)+len(l.stuck) == 0 && !l.closed {
		l.wake.Wait()
	}
	queue := &l.fresh
	if len(*queue) == 0 {
		queue = &l.stuck
	}
	if l.closed {
		return c, false
	}
	c = (*queue)[0]
	*queue = (*queue)[1:]
	return c, true
}

// rest spares the machine while nothing but stuck calls is left. A fresh call ends it.
func (l *lanes) rest() {
	rested := false
	timer := time.AfterFunc(l.pause, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		rested = true
		l.wake.Signal()
	})
	defer timer.Stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	for !rested && len(l.fresh) == 0 && !l.closed {
		l.wake.Wait()
	}
}

package shim

import (
	"cmp"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
)

// Handler decides one call: Resolve, Decide, Send. It may act on the target but
// never answers the caller.
type Handler func(*Call) Verdict

// Handlers is the table of one worker: a system call without an entry gets ENOSYS.
type Handlers [arch.SyscallCount]Handler

// Number is a system call by its number in one ABI, as that ABI's table has it:
// without the mark.
type Number struct {
	ABI arch.ABI
	Nr  uint32
}

// Supervisor takes calls from a backend, one after the other, to their answers.
type Supervisor struct {
	Backend Backend

	// Handlers makes the handlers of one worker. Each worker has its own, so that
	// what they cache needs no lock.
	Handlers func() *Handlers

	// Others are handlers of calls that have no place in Handlers. They may be called by
	// several workers at once.
	Others map[Number]Handler

	// Observe, if not nil, sees each call before it is answered while the caller
	// still waits, so that facts can be gathered, and again afterwards.
	Observe Observer

	// Results says that the observer wants to know what calls return that callers carry out.
	Results bool

	// Restarts says that a caller's wait can be ended after its signal was sent, and the call be
	// made again: without WAIT_KILLABLE_RECV.
	Restarts bool

	// Alone says that one thread alone can receive and answer: the backend belongs to it.
	Alone bool

	// Pool has the threads, which may serve others, too; nil: it gets some of its own.
	Pool *Pool

	Log *slog.Logger

	done       chan error
	finishOnce sync.Once
	ended      atomic.Bool
	suspicious atomic.Bool
	pause      time.Duration // between tries of calls that were put off
	waiting    atomic.Int32  // its calls that may take for ever: see Worker.MayWait
	stuck      atomic.Int32  // those of them that do
	refused    atomic.Bool   // MayWait has said no to a call that may have been put off
	settling   settling
	joining    atomic.Bool
	taking     atomic.Int32 // workers at a shared backend, or at a call of it
	source     *source

	key atomic.Int32 // among those that share a pool; 0: not shared
	fd  int

	handlersMu sync.Mutex  // guards the one below
	handlers   []*Handlers // that nobody uses

	// These are guarded by the pool's mu.
	off     putOff
	left    bool // to look for calls that were left
	running int  // jobs that were taken
	listed  bool // as having work
	idle    *sync.Cond
}

// Serve answers calls until the last supervised task has ended.
func (s *Supervisor) Serve() error {
	if s.Pool == nil {
		pool, err := NewPool(ownThreads)
		if err != nil {
			return err
		}
		s.Pool = pool
		defer func() { go pool.Close() }() // a caller that lives may hold a worker for ever
	}
	s.done = make(chan error, 1)
	s.pause = cmp.Or(s.pause, tick)
	s.idle = sync.NewCond(&s.Pool.mu)
	s.settling.needed = s.Restarts || s.Observe != nil
	if err := s.Pool.add(s); err != nil {
		return err
	}
	err := <-s.done
	s.Pool.shared.remove(s)
	s.JoinFor(stopPatience) // others may yet have a call to answer, and to tell of
	s.Pool.remove(s)
	return err
}

// ownThreads are those of a supervisor that was given none.
var ownThreads = Threads{Workers: 8}

func (s *Supervisor) finish(err error) {
	s.finishOnce.Do(func() {
		s.ended.Store(true)
		s.done <- err
	})
}

// JoinFor returns when no call is being served any more: until then the backend must stay.
// It gives up where that takes too long: a caller that lives may hold a worker for ever.
// Precondition: Serve has returned.
func (s *Supervisor) JoinFor(patience time.Duration) {
	s.joinUntil(time.Now().Add(patience))
}

// Join is JoinFor that waits for ever. Precondition: every caller has ended, too.
func (s *Supervisor) Join() { s.joinUntil(time.Time{}) }

func (s *Supervisor) joinUntil(deadline time.Time) {
	p := s.Pool
	if !deadline.IsZero() {
		timer := time.AfterFunc(time.Until(deadline), s.look)
		defer timer.Stop()
	}
	s.joining.Store(true)
	p.mu.Lock()
	defer p.mu.Unlock()
	for s.isServed() && (deadline.IsZero() || time.Now().Before(deadline)) {
		s.idle.Wait()
	}
}

// isServed tells whether a worker is at a call of it. Precondition: the pool's mu is held.
func (s *Supervisor) isServed() bool {
	return s.running > 0 || s.taking.Load() > 0 ||
		slices.ContainsFunc(s.Pool.workers, func(w *Worker) bool { return w.isAt(s) })
}

// look has those who join look again.
func (s *Supervisor) look() {
	s.Pool.mu.Lock()
	defer s.Pool.mu.Unlock()
	s.idle.Broadcast()
}

// taken is the end of taking.
func (s *Supervisor) taken() {
	if s.taking.Add(-1) == 0 && s.joining.Load() {
		s.look()
	}
}

// Suspicious tells handlers that reading a caller's memory has been seen to block.
func (s *Supervisor) Suspicious() bool { return s.suspicious.Load() }

func (s *Supervisor) suspect() {
	if s.suspicious.CompareAndSwap(false, true) {
		s.Log.Warn("a caller's memory does not answer: its sandbox is read by separate processes from now on")
	}
}

// pick is what there is to do, if anything. Precondition: the pool's mu is held.
func (s *Supervisor) pick(c *Call) (what job) {
	switch {
	case s.left:
		s.left, what = false, jobLeft
	case s.off.ready(s.Pool):
		queue := &s.off.fresh
		if queue.len() == 0 {
			queue = &s.off.stuck
		}
		queue.pop(c)
		c.Slow, s.off.trying = true, true
		s.Pool.trying++
		c.Record = Record{}
		what = jobPutOff
	default:
		return jobNone
	}
	s.running++
	return what
}

func (s *Supervisor) hasWork() bool { return s.left || s.off.ready(s.Pool) }

// serve is what a worker does with a call.
func (s *Supervisor) serve(w *Worker, c *Call) {
	w.take(s)
	defer w.leave(s)
	c.worker = w
	if c.Slow && s.Backend.Blocked(c) != nil {
		c.Finished()
		return
	}
	if w.handlersOf != s {
		w.putHandlers()
		w.handlers, w.handlersOf = s.takeHandlers(), s
	}
	if !s.awaitSettled(w, c) {
		s.later(c)
		return
	}
	w.serving.Store(int64(c.Tid) << 1)
	if c.Slow || w.receives.Load() == nil { // others receive already
		s.settling.mark(w)
	}
	s.serveOne(c, w.handlers)
	s.settling.settled(w)
}

// awaitSettled waits for the last call of this thread, if another worker still has it.
func (s *Supervisor) awaitSettled(w *Worker, c *Call) bool {
	if s.settling.count.Load() == 0 {
		return true
	}
	c.Received = cmp.Or(c.Received, Monotonic()) // it is not later for having waited here
	w.HandOff()
	return s.settling.await(c.Tid)
}

// takeHandlers finds handlers that nobody uses, those first that were used last: what they
// keep of the callers is warm.
func (s *Supervisor) takeHandlers() *Handlers {
	s.handlersMu.Lock()
	defer s.handlersMu.Unlock()
	if n := len(s.handlers); n > 0 {
		h := s.handlers[n-1]
		s.handlers = s.handlers[:n-1]
		return h
	}
	return s.Handlers()
}

// putHandlers lets others use them. Those of a supervisor that is Alone may have tracees, which
// are the thread's: that keeps them.
func (w *Worker) putHandlers() {
	s := w.handlersOf
	if s == nil || s.Alone {
		return
	}
	s.handlersMu.Lock()
	defer s.handlersMu.Unlock()
	s.handlers = append(s.handlers, w.handlers)
	w.handlers, w.handlersOf = nil, nil
}

// serveOne is one call's way: Decode, the handler's Resolve, Decide and Send, Answer.
func (s *Supervisor) serveOne(c *Call, handlers *Handlers) {
	if s.Observe != nil && c.Received == 0 {
		c.Received = Monotonic()
	}
	v := s.handler(c, handlers)(c)
	s.end(c, &v)
}

// missing answers a call that the kernel has not, and nobody handles.
func missing(*Call) Verdict { return Fail(unix.ENOSYS) }

// end is the only place where a call ends, or is put off.
func (s *Supervisor) end(c *Call, v *Verdict) {
	c.Sent(*v)
	switch v.Kind {
	case KindGone:
		c.Finished()
	case KindLater:
		s.later(c)
	default:
		s.answer(c, v)
	}
	if v.Release != nil {
		s.Pool.endTry(c.worker)
		v.Release.LetGo(c.worker)
	}
}

// later puts a call off.
func (s *Supervisor) later(c *Call) {
	if p, ok := s.Backend.(Postponer); ok && !c.Slow {
		p.Postponed(c)
	}
	s.postpone(c)
	c.Entry = nil // the copy's
}

// handler finds who handles a call.
func (s *Supervisor) handler(c *Call, handlers *Handlers) Handler {
	what := c.Decode()
	if handle := handlers[what]; handle != nil {
		return handle
	}
	if handle := s.Others[Number{c.ABI, c.Nr}]; handle != nil {
		return handle
	}
	return missing
}

// answer gives a call its answer, and tells of it whoever is to know.
func (s *Supervisor) answer(c *Call, v *Verdict) {
	observed := s.Observe != nil && !c.Record.Quiet
	if observed {
		s.Observe.Before(c, *v)
	}
	if v.Release != nil || v.Kind == KindRun { // somebody may be waited for
		c.worker.HandOff()
	}
	// Whoever watches is told of a thread's calls in their order, and its next one can be
	// another worker's as soon as it has its answer.
	if settles := v.Settler != nil || s.Observe != nil && !s.Alone; settles {
		s.settling.mark(c.worker)
	}
	c.Reports = s.Results && observed
	err := s.Backend.Answer(c, *v)
	c.Finished()
	if v.Settler != nil {
		v.Settler.Settled(c, *v, err)
	}
	if observed && (!s.Results || c.Reports) {
		s.Observe.After(c, *v, err)
	}
	s.settling.settled(c.worker)
	if err != nil && !errors.Is(err, ErrGone) {
		s.Log.Error("answer", "tid", c.Tid, "verdict", *v, "error", err)
	}
}

// Monotonic is a clock in ns that nobody sets, read without a system call.
func Monotonic() int64 { return int64(time.Since(epoch)) }

var epoch = time.Now()

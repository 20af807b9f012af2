package shim

import (
	"sync/atomic"
)

// Worker is one thread of a pool. It marks what may take for ever, for the watch. A nil Worker
// is a test's: nobody watches.
type Worker struct {
	pool *Pool
	tid  atomic.Int32 // of its thread

	entered atomic.Uint64 // odd while in something that may take for ever
	reads   atomic.Bool   // it is a caller's memory or file
	of      atomic.Pointer[Supervisor]

	calls    atomic.Uint64          // odd while it is at one
	receives atomic.Pointer[source] // that nobody else receives from
	serving  atomic.Int64           // whose call it is at: see settling.mark; 0: nobody's

	stuck   atomic.Pointer[Supervisor] // it counts among those whose caller holds them up
	mayWait bool                       // it counts among those whose call may take for ever
	tries   *Supervisor                // whose call, that was put off, it tries
	call    Call
	seen    sight // the watch's

	handlers   *Handlers // that it has, of handlersOf
	handlersOf *Supervisor
}

// Enter marks the start of a read that a caller can make block.
func (w *Worker) Enter() { w.enter(true) }

// EnterWait marks the start of a wait for a task that can be kept from running.
func (w *Worker) EnterWait() {
	w.HandOff()
	w.enter(false)
}

func (w *Worker) enter(reads bool) {
	if w != nil {
		w.reads.Store(reads)
		w.entered.Add(1)
	}
}

// Leave marks its end.
func (w *Worker) Leave() {
	if w != nil {
		w.entered.Add(1)
	}
}

// MayWait tells whether what the worker has at hand may be something that a caller can make
// last for ever: only so many calls of a sandbox, and of all, may be at once, so that there
// always are workers for the others. It then counts as such until it has ended.
func (w *Worker) MayWait() bool {
	if w == nil || w.mayWait {
		return true
	}
	s, p := w.of.Load(), w.pool
	if s.Alone { // nobody else can be served meanwhile anyway
		return true
	}
	if s.waiting.Add(1) > p.mayWait(s) {
		s.waiting.Add(-1)
		s.refused.Store(true)
		return false
	}
	if p.waiting.Add(1) > p.mayWaitInAll() {
		p.waiting.Add(-1)
		s.waiting.Add(-1)
		s.refused.Store(true)
		return false
	}
	w.mayWait = true
	return true
}

// Crowded is the opposite.
func (w *Worker) Crowded() bool { return !w.MayWait() }

// Full tells that so many are at it now that this call is better tried again a little later:
// MayWait has said no, and not because of callers that hold everybody up.
func (w *Worker) Full() bool {
	if w == nil {
		return false
	}
	if w.MayWait() {
		return false
	}
	s, p := w.of.Load(), w.pool
	return s.stuck.Load() < p.mayWait(s) && p.stuck.Load() < p.mayWaitInAll()
}

// StayBehind tells whether this worker may take the time it needs with what it has: others
// serve the calls to come.
func (w *Worker) StayBehind() bool {
	w.HandOff()
	return w != nil && !w.of.Load().Alone
}

// take is the start of a call.
func (w *Worker) take(s *Supervisor) {
	if w.of.Load() != s {
		w.of.Store(s)
	}
	w.calls.Add(1)
}

// leave is its end.
func (w *Worker) leave(s *Supervisor) {
	w.calls.Add(1)
	if w.mayWait {
		w.mayWait = false
		w.pool.waiting.Add(-1)
		s.waiting.Add(-1)
		w.unstick()
		if s.refused.Load() {
			s.tryAgain()
		}
	}
	if s.joining.Load() {
		s.look()
	}
}

// isAt tells whether it is at a call of s.
func (w *Worker) isAt(s *Supervisor) bool { return w.calls.Load()%2 == 1 && w.of.Load() == s }

// mayWaitInAll leaves a third of the workers to calls that cannot be held up.
func (p *Pool) mayWaitInAll() int32 { return int32(max(1, len(p.workers)*2/3-1)) }

// mayWait is one supervisor's share: a pool that serves one alone has nobody to share with.
func (p *Pool) mayWait(s *Supervisor) int32 {
	if s.key.Load() == 0 {
		return p.mayWaitInAll()
	}
	return max(1, p.mayWaitInAll()*2/5)
}

// stick marks the worker as one whose caller holds it up: the watch has seen so.
func (w *Worker) stick() {
	if s := w.of.Load(); w.stuck.CompareAndSwap(nil, s) {
		s.stuck.Add(1)
		w.pool.stuck.Add(1)
	}
}

func (w *Worker) unstick() {
	if s := w.stuck.Load(); s != nil && w.stuck.CompareAndSwap(s, nil) {
		s.stuck.Add(-1)
		w.pool.stuck.Add(-1)
	}
}

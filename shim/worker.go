package shim

import (
	"runtime"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Worker is one loop on one thread. It marks what may take for ever, so that another
// can be put in its place. A nil Worker is a test's: nobody watches.
type Worker struct {
	entered atomic.Uint64 // odd while in something that may take for ever
	reads   atomic.Bool   // it is a caller's memory or file
	retired atomic.Bool
	tid     atomic.Int32 // of its thread

	replace func() // starts another; nil where nobody can do this one's work
	behind  *atomic.Int32
}

// begin ties the worker to its thread, for good: the thread ends with it, and lets go of
// its tracees.
func (w *Worker) begin() {
	runtime.LockOSThread()
	w.tid.Store(int32(unix.Gettid()))
}

// Enter marks the start of a read that a caller can make block.
func (w *Worker) Enter() { w.enter(true) }

// EnterWait marks the start of a wait for a task that can be kept from running.
func (w *Worker) EnterWait() { w.enter(false) }

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

// StayBehind starts another worker for the calls to come, so that this one may take the
// time it needs with what it has. False: there is nobody else.
func (w *Worker) StayBehind() bool {
	if w == nil || w.replace == nil {
		return false
	}
	if w.retired.CompareAndSwap(false, true) {
		w.behind.Add(1)
		w.replace()
	}
	return true
}

// maxBehind bounds the threads that a sandbox can tie up.
const maxBehind = 32

// Crowded tells that so many workers were left behind that no call should risk another:
// a caller that has them blocked can do so again.
func (w *Worker) Crowded() bool { return w != nil && w.behind.Load() >= maxBehind }

// Replaced tells that another has taken this one's place: it ends with its call.
func (w *Worker) Replaced() bool { return w != nil && w.retired.Load() }

func (w *Worker) end() {
	if w.Replaced() {
		w.behind.Add(-1)
	}
}

package shim

import (
	"sync"
	"sync/atomic"
	"time"
)

// settling are the threads with a call at a worker that has given receiving away, or that has
// yet to learn how its answer was received (Verdict.Settler), or to tell the Observer. Their wait may have been ended by a
// signal, and their next call, which another worker may have by then, may be the same one made
// again: whether it is can be told only when the first has been settled.
type settling struct {
	needed bool // somebody remembers answers, or watches

	count atomic.Int32 // of those below, so that nobody locks without need

	mu    sync.Mutex // guards below
	tids  map[int32]int
	ended *sync.Cond
}

// mark adds the call that the worker is at, once.
func (t *settling) mark(w *Worker) {
	if !t.needed {
		return
	}
	v := w.serving.Load()
	if v == 0 || v&marked != 0 {
		return
	}
	tid := int32(v >> 1)
	t.begin(tid)
	if !w.serving.CompareAndSwap(v, v|marked) { // it was marked, or has ended, meanwhile
		t.end(tid)
	}
}

// settled says that nothing of the worker's call is left to learn.
func (t *settling) settled(w *Worker) {
	if v := w.serving.Swap(0); v&marked != 0 {
		t.end(int32(v >> 1))
	}
}

// marked is the low bit of Worker.serving; the thread is above it.
const marked = 1

func (t *settling) begin(tid int32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.tids == nil {
		t.tids, t.ended = map[int32]int{}, sync.NewCond(&t.mu)
	}
	t.tids[tid]++
	t.count.Add(1)
}

func (t *settling) end(tid int32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.tids[tid]--; t.tids[tid] == 0 {
		delete(t.tids, tid)
	}
	t.count.Add(-1)
	t.ended.Broadcast()
}

// settleWithin bounds a wait for another worker, which a caller may hold up.
const settleWithin = 20 * time.Millisecond

// await reports false if that takes too long.
func (t *settling) await(tid int32) bool {
	if t.count.Load() == 0 {
		return true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.tids[tid] == 0 {
		return true
	}
	late := false
	timer := time.AfterFunc(settleWithin, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		late = true
		t.ended.Broadcast()
	})
	defer timer.Stop()
	for t.tids[tid] > 0 && !late {
		t.ended.Wait()
	}
	return t.tids[tid] == 0
}

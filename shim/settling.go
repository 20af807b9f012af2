package shim

import (
	"sync"
	"sync/atomic"
)

// settling are the threads whose last call is being answered by a worker that has yet to
// learn how the answer was received (Call.Settled), or to tell the Observer: their next one,
// which another worker may have by then, waits for that.
type settling struct {
	count atomic.Int32 // of those below, so that nobody locks without need

	mu    sync.Mutex // guards below
	tids  map[int32]int
	ended *sync.Cond
}

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

func (t *settling) await(tid int32) {
	if t.count.Load() == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for t.tids[tid] > 0 {
		t.ended.Wait()
	}
}

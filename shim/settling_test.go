package shim_test

import (
	"sync"
	"testing"

	"github.com/pidfd-shim/pidfd-shim/shim"
)

// inOrder notes a thread's calls as their ends are told, and whether its next one can pass.
type inOrder struct {
	s *shim.Supervisor

	mu    sync.Mutex // guards below
	calls []uint64
	early int
}

func (o *inOrder) Before(*shim.Call, shim.Verdict) {}

func (o *inOrder) After(c *shim.Call, _ shim.Verdict, _ error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.calls = append(o.calls, c.ID)
	if !o.s.Awaited(c.Tid) {
		o.early++
	}
}

// A thread's calls are told in their order, although other workers take them: each one is told
// before the next one begins.
func TestObserverOfOneThread(t *testing.T) {
	const calls = 200
	o := &inOrder{}
	r := serve(t, func(c *shim.Call) shim.Verdict {
		v := byID(c)
		v.Release = release(func(*shim.Worker) {}) // somebody may be waited for: another worker receives
		return v
	}, func(s *shim.Supervisor) { s.Observe, o.s = o, s })
	for id := range uint64(calls) {
		r.arrivals <- arrival{id: id, tid: 7}
		receive(t, "an answer", r.answers)
	}
	if err := r.end(); err != nil {
		t.Error(err)
	}
	for i, id := range o.calls {
		if id != uint64(i) {
			t.Fatalf("told in the order %v", o.calls)
		}
	}
	if len(o.calls) != calls || o.early > 0 || r.Awaited(7) {
		t.Errorf("%d calls are told, want %d; the next could pass %d of them, or still waits", len(o.calls), calls, o.early)
	}
}

package shim

import (
	"sync"
	"time"
)

// sight is what the watch saw of a worker when it looked last.
type sight struct {
	calls, entered uint64
	since          int // ticks for which it has been there
}

// starvation is for how many ticks a worker in a read is taken for one that wants a
// processor, if it looks like one: a caller may know of a read that never ends nor sleeps.
const starvation = 20

// watch looks for workers that are at the same place at two of its ticks: another receives in
// their place from then on. One that is in a read, and not for want of a processor, has a
// caller whose sandbox is read by other processes from then on. It rests while nobody is
// served.
func (p *Pool) watch() {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for p.awaitServed() {
		<-ticker.C
		for _, w := range p.workers {
			w.look()
		}
	}
}

// awaitServed waits until somebody is served: false when nobody will be any more.
func (p *Pool) awaitServed() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.looking == nil {
		p.looking = sync.NewCond(&p.mu)
	}
	for len(p.served) == 0 && !p.closed {
		p.looking.Wait()
	}
	return !p.closed
}

// look is one tick.
func (w *Worker) look() {
	calls, entered := w.calls.Load(), w.entered.Load()
	if calls != w.seen.calls || entered != w.seen.entered {
		w.seen = sight{calls: calls, entered: entered}
		w.unstick()
		return
	}
	w.seen.since++
	if calls%2 == 0 {
		w.unstick()
		return
	}
	w.giveAway()
	w.stick()
	if entered%2 == 1 && w.reads.Load() && (w.seen.since >= starvation || !w.starved()) {
		w.of.Load().suspect()
	}
}

package shim

import (
	"sync"
	"time"
)

// Watchdog replaces workers that are in the same read, or wait, at two of its ticks, and not
// for want of a processor. One serves any number of supervisors, and rests while there is
// none.
type Watchdog struct {
	mu      sync.Mutex // guards below
	watched map[*Supervisor]sight
	running bool
}

// sight is what the last tick saw of a supervisor's lanes.
type sight [laneCount]struct {
	worker  *Worker // nil: not started
	entered uint64
	since   int // ticks for which it has been there
}

// starvation is for how many ticks a worker in a read is taken for one that wants a
// processor, if it looks like one: a caller may know of a read that never ends nor sleeps.
const starvation = 20

func (d *Watchdog) add(s *Supervisor) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.watched == nil {
		d.watched = map[*Supervisor]sight{}
	}
	d.watched[s] = sight{}
	if !d.running {
		d.running = true
		go d.run()
	}
}

func (d *Watchdog) remove(s *Supervisor) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.watched, s)
}

func (d *Watchdog) run() {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		<-ticker.C
		if !d.look() {
			return
		}
	}
}

// look is one tick. It returns false when nobody is left to look after.
func (d *Watchdog) look() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for s, last := range d.watched {
		d.watched[s] = s.look(last)
	}
	d.running = len(d.watched) > 0
	return d.running
}

// look replaces workers that are still where they were last seen.
func (s *Supervisor) look(last sight) sight {
	var now sight
	for lane, w := range s.lanes.workers() {
		if w == nil {
			continue
		}
		is, was := &now[lane], last[lane]
		is.worker, is.entered = w, w.entered.Load()
		if is.worker != was.worker || is.entered != was.entered {
			continue
		}
		is.since = was.since + 1
		if is.entered%2 == 1 && w.replace != nil && (is.since >= starvation || !w.starved()) {
			s.replaceStuck(w)
		}
	}
	return now
}

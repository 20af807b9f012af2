package shim

import (
	"sync"
	"time"
)

// Watchdog replaces workers that are in the same read at two of its ticks. One serves
// any number of supervisors, and rests while there is none.
type Watchdog struct {
	mu      sync.Mutex // guards below
	watched map[*Supervisor]sight
	running bool
}

// sight is what the last tick saw of a supervisor.
type sight struct {
	worker *Worker
	reads  uint64
}

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

// look replaces the worker if it is still where it was last seen.
func (s *Supervisor) look(last sight) sight {
	s.lanes.mu.Lock()
	now := sight{worker: s.lanes.current}
	s.lanes.mu.Unlock()
	now.reads = now.worker.reads.Load()
	if now != last || now.reads%2 == 0 {
		return now
	}
	s.Log.Warn("a caller's memory does not answer: its sandbox is read by separate processes from now on")
	s.lanes.Suspicious.Store(true)
	now.worker.retired.Store(true)
	s.startWorker()
	return last
}

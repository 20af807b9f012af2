package shim

import "time"

// SetPause makes the slow lane's rest longer or shorter. Precondition: before Serve.
func (s *Supervisor) SetPause(d time.Duration) { s.pause = d }

// Tick is how often the watch looks.
const Tick = tick

// PutOff is how many calls wait to be tried again.
func (s *Supervisor) PutOff() int {
	s.Pool.mu.Lock()
	defer s.Pool.mu.Unlock()
	return s.off.fresh.len() + s.off.stuck.len()
}

// Awaited tells whether a thread's next call waits for what becomes of its last.
func (s *Supervisor) Awaited(tid int32) bool {
	s.settling.mu.Lock()
	defer s.settling.mu.Unlock()
	return s.settling.tids[tid] > 0
}

package shim

import "time"

// SetPause makes the slow lane's rest longer or shorter. Precondition: before Serve.
func (s *Supervisor) SetPause(d time.Duration) { s.lanes.pause = d }

// Tick is how often the watch looks.
const Tick = tick

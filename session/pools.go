package session

import (
	"runtime"
	"time"

	"github.com/pidfd-shim/pidfd-shim/emulate"
	"github.com/pidfd-shim/pidfd-shim/helper"
	"github.com/pidfd-shim/pidfd-shim/notify/ptrace"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// pools are the helper processes that all attached sessions share: hundreds of
// listeners with three helpers each would need more memory than everything else.
type pools struct {
	readers *helper.Pool[*helper.Helper]
	pinners *helper.Pool[*helper.Helper]
	hoppers *helper.Pool[*ptrace.Hopper]
}

// pinDeadline is long because nothing that a pinner does blocks, and because all pins
// would be lost with it.
const pinDeadline = 2 * time.Second

// hopDeadline is long enough for a machine where hundreds of containers want to run, and
// short enough for others where a caller cannot run because it is frozen.
const hopDeadline = 500 * time.Millisecond

func (s *Session) newPools() *pools {
	few := runtime.GOMAXPROCS(0) + 2
	return &pools{
		readers: &helper.Pool[*helper.Helper]{Limit: few, New: func() *helper.Helper {
			h := s.helper("__reader", false)
			return &h
		}},
		// One for all: two that seize the same target would be in each other's way.
		pinners: &helper.Pool[*helper.Helper]{Limit: 1, New: func() *helper.Helper {
			h := s.helper("__pinner", true)
			h.Deadline = pinDeadline
			return &h
		}},
		hoppers: &helper.Pool[*ptrace.Hopper]{Limit: few, New: func() *ptrace.Hopper {
			h := s.helper("__hopper", true)
			h.Deadline = hopDeadline
			return &ptrace.Hopper{Helper: h}
		}},
	}
}

// share makes a worker's helpers those of the pools.
func (p *pools) share(c *emulate.Config) {
	c.Reader = func() *emulate.Reader { return &emulate.Reader{Helper: helper.Helper{Pool: p.readers}} }
	c.Pinner = func() *emulate.Pinner { return &emulate.Pinner{Helper: helper.Helper{Pool: p.pinners}} }
	c.Hopper = func() emulate.Hopper { return &pooledHopper{pool: p.hoppers} }
}

// pooledHopper holds callers by a Hopper that it has for as long as it holds one.
type pooledHopper struct {
	pool *helper.Pool[*ptrace.Hopper]
	held *ptrace.Hopper // nil: none
}

var _ emulate.Hopper = (*pooledHopper)(nil)

// Hold implements emulate.Hopper.
func (p *pooledHopper) Hold(c *shim.Call) bool {
	p.release()
	p.held = p.pool.Take()
	if p.held.Hold(c) {
		return true
	}
	p.release()
	return false
}

// Run implements shim.Runner.
func (p *pooledHopper) Run(call shim.Rewrite) error {
	err := p.held.Run(call)
	if err != nil {
		p.release()
	}
	return err
}

// Finish implements shim.Runner.
func (p *pooledHopper) Finish() error {
	defer p.release()
	return p.held.Finish()
}

// Drop implements emulate.Hopper.
func (p *pooledHopper) Drop() {
	p.held.Drop()
	p.release()
}

func (p *pooledHopper) release() {
	if p.held != nil {
		p.pool.Put(p.held)
		p.held = nil
	}
}

package agent

import (
	"sync/atomic"
	"time"

	"github.com/pidfd-shim/pidfd-shim/shim"
)

// Counters are the agent's figures.
type Counters struct {
	refused atomic.Uint64 // hand-overs
}

// counting is the observer that counts a listener's calls.
type counting struct {
	all *Counters
	own *tally
}

// Before implements shim.Observer.
func (c *counting) Before(*shim.Call, shim.Verdict) {}

// After implements shim.Observer.
func (c *counting) After(call *shim.Call, v shim.Verdict, answered error) {
	c.own.calls.Add(1)
	if !call.Record.Denied {
		return
	}
	c.own.denied.Add(1)
	r := &call.Record
	c.own.last.Store(&Denial{Time: time.Now(), Tid: call.Tid, Target: r.TargetPid, Signal: r.Sig, Rule: r.Rule})
}

package agent

import (
	"cmp"
	"slices"
	"sync/atomic"
	"time"

	"github.com/pidfd-shim/pidfd-shim/internal/web"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// Status is what is known of one container: of all its listeners together.
type Status struct {
	Identity
	Listeners int     `json:"listeners"` // one, and one for each exec that runs
	Calls     uint64  `json:"calls"`
	Denied    uint64  `json:"denied"`
	Logged    uint64  `json:"logged"` // let pass by a policy that only logs
	Last      *Denial `json:"last_denial,omitempty"`

	// Unseen says that its profile denies calls by itself, which nobody counts or audits.
	Unseen bool `json:"denials_unseen,omitempty"`
}

// Denial is a call that a policy refused.
type Denial struct {
	Time   time.Time `json:"time"`
	Tid    int32     `json:"tid"`
	Target int32     `json:"target,omitempty"`
	Signal int32     `json:"signal"`
	Rule   string    `json:"rule,omitempty"`
}

// tally is an observer that keeps what Status shows of a listener.
type tally struct {
	calls, denied, logged atomic.Uint64

	last atomic.Pointer[Denial]
}

// Before implements shim.Observer.
func (t *tally) Before(*shim.Call, shim.Verdict) {}

// After implements shim.Observer.
func (t *tally) After(call *shim.Call, _ shim.Verdict, _ error) {
	t.calls.Add(1)
	r := &call.Record
	if r.Logged {
		t.logged.Add(1)
	}
	if r.Denied {
		t.denied.Add(1)
		t.last.Store(&Denial{Time: time.Now(), Tid: call.Tid, Target: r.TargetPid, Signal: r.Sig, Rule: r.Rule})
	}
}

// Containers lists what is served, by name.
func (a *Agent) Containers() []Status {
	type key struct {
		name string
		peer uint32
	}
	found := map[key]*Status{}
	a.mu.Lock()
	for s := range a.served {
		k := key{s.Container, s.Peer}
		c := found[k]
		if c == nil {
			c = &Status{Identity: s.Identity}
			found[k] = c
		}
		c.add(s)
		c.State = a.Policies.stateOf(s.slot)
	}
	a.mu.Unlock()
	all := make([]Status, 0, len(found))
	for _, c := range found {
		all = append(all, *c)
	}
	slices.SortFunc(all, func(a, b Status) int {
		return cmp.Or(cmp.Compare(a.Container, b.Container), cmp.Compare(a.Peer, b.Peer))
	})
	return all
}

// add counts one listener in. A container's policy is that of its first.
func (c *Status) add(s *served) {
	if s.Since.Before(c.Since) {
		c.Identity = s.Identity
	}
	c.Listeners++
	c.Unseen = c.Unseen || s.Unseen
	c.Calls += s.tally.calls.Load()
	c.Denied += s.tally.denied.Load()
	c.Logged += s.tally.logged.Load()
	if last := s.tally.last.Load(); last != nil && (c.Last == nil || last.Time.After(c.Last.Time)) {
		c.Last = last
	}
}

// Pages are what the control socket tells: the containers and what we may do, as JSON.
func (a *Agent) Pages() web.Pages {
	return web.Pages{
		"/containers": func() web.Answer { return web.JSON(a.Containers()) },
		"/privileges": privileges,
	}
}

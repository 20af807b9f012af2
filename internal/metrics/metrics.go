// Package metrics counts calls for Prometheus. Its labels are few and bounded: neither a
// pid nor a container is ever one. It never decides anything and never waits.
//
// Read metrics.go first; family.go writes what is counted, server.go makes it readable.
package metrics

import (
	"errors"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/shim"
)

// Calls is an observer that counts calls.
type Calls struct {
	families families

	calls                     *family
	duplicates, averted, lost *count

	// What has been asked for: looking a counter up by its labels costs more than the rest.
	counters sync.Map // kind to *count
	times    [shim.PathCount]*times
	rules    bounded
	policies bounded
}

// kind is what the counter of calls tells apart.
type kind struct {
	syscall, verdict, path, abi, guard, rule, policy string
	errno                                            unix.Errno
}

// New makes the counters, and those of the process itself.
func New() *Calls {
	c := &Calls{rules: bounded{limit: maxRules}, policies: bounded{limit: maxPolicies}}
	c.calls = c.families.add("pidfd_shim_calls_total", counter,
		"Calls answered. errno is empty for success and where the kernel gave the answer itself, rule where no policy's rule decided, policy under run.")
	latency := c.families.add("pidfd_shim_call_seconds", histogram, "Time from a call's receipt to its answer.")
	for path := range c.times {
		c.times[path] = get(latency, labels("path", shim.Path(path).String()), func() *times { return new(times) })
	}
	c.duplicates = c.single("pidfd_shim_duplicates_suppressed_total", "Restarted calls that were answered without sending again.")
	c.averted = c.single("pidfd_shim_misdirections_averted_total", "Signals not sent because the target's number was not its own any more.")
	c.lost = c.single("pidfd_shim_answers_lost_total", "Answers refused because the caller no longer waited.")
	c.addProcess()
	return c
}

func (c *Calls) single(name, help string) *count {
	return get(c.families.add(name, counter, help), "", newCount)
}

func newCount() *count { return new(count) }

// Gauge adds a value that is asked for when somebody looks.
func (c *Calls) Gauge(name, help string, value func() float64) {
	c.families.add(name, gauge, help).ask("", value)
}

// Counter adds a count that is kept elsewhere.
func (c *Calls) Counter(name, help string, value func() float64) {
	c.families.add(name, counter, help).ask("", value)
}

// Info adds what is told by labels alone, which come in pairs; its value is 1.
func (c *Calls) Info(name, help string, pairs ...string) {
	c.families.add(name, gauge, help).ask(labels(pairs...), func() float64 { return 1 })
}

// Before implements shim.Observer.
func (c *Calls) Before(*shim.Call, shim.Verdict) {}

// After implements shim.Observer.
func (c *Calls) After(call *shim.Call, v shim.Verdict, answered error) {
	c.count(call, v, answered, "")
}

// Of is the observer of the containers that ask for a policy.
func (c *Calls) Of(policy string) shim.Observer { return &ofPolicy{c, policy} }

type ofPolicy struct {
	*Calls
	policy string
}

// After implements shim.Observer.
func (o *ofPolicy) After(call *shim.Call, v shim.Verdict, answered error) {
	o.count(call, v, answered, o.policy)
}

func (c *Calls) count(call *shim.Call, v shim.Verdict, answered error, policy string) {
	r := &call.Record
	k := kind{
		syscall: call.What.String(), verdict: "allow", path: r.Path.String(), abi: call.ABI.String(), guard: r.Guard.String(), rule: r.Rule, policy: policy,
	}
	if v.Kind == shim.KindFail {
		k.verdict, k.errno = "error", v.Errno
	}
	switch {
	case r.Denied:
		k.verdict = "deny"
	case r.Logged:
		k.verdict = "log"
	}
	c.counter(k).Add(1)
	if call.Received > 0 {
		c.times[r.Path].observe(shim.Monotonic() - call.Received)
	}
	if r.Duplicate {
		c.duplicates.Add(1)
	}
	if r.Averted {
		c.averted.Add(1)
	}
	if errors.Is(answered, shim.ErrGone) {
		c.lost.Add(1)
	}
}

func (c *Calls) counter(k kind) *count {
	if known, ok := c.counters.Load(k); ok {
		return known.(*count)
	}
	rule, policy := c.rules.name(k.rule), c.policies.name(k.policy)
	n := get(c.calls, labels("syscall", k.syscall, "verdict", k.verdict, "path", k.path, "abi", k.abi,
		"errno", nameOf(k.errno), "guard", k.guard, "rule", rule, "policy", policy), newCount)
	if rule == k.rule && policy == k.policy { // one over the limit is looked up each time: nothing grows by it
		c.counters.Store(k, n)
	}
	return n
}

// How many names are told apart: they come from files, and from whoever starts containers.
const (
	maxRules    = 200
	maxPolicies = 200
)

// bounded lets through the first so many different words, and calls the others by one name.
type bounded struct {
	limit int
	mu    sync.Mutex
	seen  map[string]bool // guarded by mu
}

func (b *bounded) name(word string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.seen == nil {
		b.seen = map[string]bool{}
	}
	if !b.seen[word] && len(b.seen) >= b.limit {
		return "(others)"
	}
	b.seen[word] = true
	return word
}

func nameOf(errno unix.Errno) string {
	if errno == 0 {
		return ""
	}
	if name := unix.ErrnoName(errno); name != "" {
		return name
	}
	return strconv.Itoa(int(errno))
}

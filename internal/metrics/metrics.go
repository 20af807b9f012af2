// Package metrics counts calls for Prometheus. Its labels are few and bounded: neither a
// pid nor a container is ever one. It never decides anything and never waits.
//
// Read metrics.go first; server.go makes them readable.
package metrics

import (
	"errors"
	"strconv"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/shim"
)

// Calls is an observer that counts calls.
type Calls struct {
	registry *prometheus.Registry

	calls      *prometheus.CounterVec
	latency    *prometheus.HistogramVec
	duplicates prometheus.Counter
	averted    prometheus.Counter
	lost       prometheus.Counter

	// The counters that have been asked for: looking one up by its labels costs more
	// than the rest.
	known sync.Map // kind to prometheus.Counter
}

// kind is what the counter of calls tells apart.
type kind struct {
	syscall, verdict, path, abi, guard string
	errno                              unix.Errno
}

// New makes the counters, and those of the process itself.
func New() *Calls {
	c := &Calls{
		registry: prometheus.NewRegistry(),
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pidfd_shim_calls_total",
			Help: "Calls answered. errno is empty for success and where the kernel gave the answer itself.",
		}, []string{"syscall", "verdict", "path", "abi", "errno", "guard"}),
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "pidfd_shim_call_seconds",
			Help:    "Time from a call's receipt to its answer.",
			Buckets: []float64{2e-6, 5e-6, 10e-6, 20e-6, 50e-6, 100e-6, 200e-6, 500e-6, 1e-3, 5e-3, 50e-3, 500e-3, 5},
		}, []string{"path"}),
		duplicates: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "pidfd_shim_duplicates_suppressed_total",
			Help: "Restarted calls that were answered without sending again.",
		}),
		averted: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "pidfd_shim_misdirections_averted_total",
			Help: "Signals not sent because the target's number was not its own any more.",
		}),
		lost: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "pidfd_shim_answers_lost_total",
			Help: "Answers refused because the caller no longer waited.",
		}),
	}
	c.registry.MustRegister(c.calls, c.latency, c.duplicates, c.averted, c.lost,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return c
}

// Gauge adds a value that is asked for when somebody looks.
func (c *Calls) Gauge(name, help string, value func() float64) {
	c.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
}

// Counter adds a count that is kept elsewhere.
func (c *Calls) Counter(name, help string, value func() float64) {
	c.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, value))
}

// Before implements shim.Observer.
func (c *Calls) Before(*shim.Call, shim.Verdict) {}

// After implements shim.Observer.
func (c *Calls) After(call *shim.Call, v shim.Verdict, answered error) {
	r := &call.Record
	k := kind{
		syscall: call.What.String(), verdict: "allow", path: r.Path.String(), abi: call.ABI.String(), guard: r.Guard.String(),
	}
	if v.Kind == shim.KindFail {
		k.verdict, k.errno = "error", v.Errno
	}
	if r.Denied {
		k.verdict = "deny"
	}
	c.counter(k).Inc()
	if call.Received > 0 {
		c.latency.WithLabelValues(k.path).Observe(float64(shim.Monotonic()-call.Received) / 1e9)
	}
	if r.Duplicate {
		c.duplicates.Inc()
	}
	if r.Averted {
		c.averted.Inc()
	}
	if errors.Is(answered, shim.ErrGone) {
		c.lost.Inc()
	}
}

func (c *Calls) counter(k kind) prometheus.Counter {
	if known, ok := c.known.Load(k); ok {
		return known.(prometheus.Counter)
	}
	counter := c.calls.WithLabelValues(k.syscall, k.verdict, k.path, k.abi, nameOf(k.errno), k.guard)
	c.known.Store(k, counter)
	return counter
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

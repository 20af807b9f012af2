package agent

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/audit"
	"github.com/pidfd-shim/pidfd-shim/internal/metrics"
	"github.com/pidfd-shim/pidfd-shim/internal/supervisor"
	"github.com/pidfd-shim/pidfd-shim/notify"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// Config is what an agent is made with.
type Config struct {
	Policies *Policies
	PeerUID  uint32      // who may hand over besides root
	Audit    *audit.JSON // nil without; stays its owner's
	Metrics  *metrics.Calls
	Keeper   *Keeper // nil where nobody keeps descriptors
	Log      *slog.Logger

	// Limits; 0 takes the default.
	MaxConnections int // hand-overs at once
	MaxListeners   int
}

// The default limits. A listener costs some 20 KiB.
const (
	defaultConnections = 256
	defaultListeners   = 4096
)

// Agent takes hand-overs and serves them. Make it with New.
type Agent struct {
	Config

	pool    *shim.Pool
	stopped *os.File // hangs up when no more calls are to be taken
	stop    *os.File // the end that makes it so
	work    sync.WaitGroup
	conns   connLimiter
	socket  *Socket // the one that hand-overs come by

	taken, refusals atomic.Uint64 // hand-overs
	unknown         atomic.Uint64 // calls of a dead agent: sent or not
	handed          atomic.Uint64 // calls of a dead agent that its hopper had

	mu       sync.Mutex // guards below
	served   map[*served]struct{}
	closing  bool
	saidFull bool
}

// New makes an agent that serves nothing yet.
func New(c Config) (*Agent, error) {
	if c.MaxConnections <= 0 {
		c.MaxConnections = defaultConnections
	}
	if c.MaxListeners <= 0 {
		c.MaxListeners = defaultListeners
	}
	stopped, stop, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make an agent: %w", err)
	}
	pool, err := shim.NewPool(supervisor.SharedThreads())
	if err != nil {
		return nil, fmt.Errorf("make an agent: %w", err)
	}
	a := &Agent{Config: c, pool: pool, stopped: stopped, stop: stop, served: map[*served]struct{}{}}
	a.conns = connLimiter{agent: a, limit: a.MaxConnections}
	a.measure()
	return a, nil
}

// measure adds what the agent itself counts to the metrics of calls.
func (a *Agent) measure() {
	m := a.Metrics
	m.Gauge("pidfd_shim_listeners", "Listeners that are served.", func() float64 {
		a.mu.Lock()
		defer a.mu.Unlock()
		return float64(len(a.served))
	})
	m.Gauge("pidfd_shim_containers", "Containers that are served.", func() float64 { return float64(len(a.Containers())) })
	m.Gauge("pidfd_shim_containers_denials_unseen", "Containers whose profile denies calls by itself: those denials are neither counted nor audited.",
		func() float64 { return float64(a.unseen()) })
	m.Counter("pidfd_shim_handovers_total", "Listeners that were handed over.", func() float64 { return float64(a.taken.Load()) })
	m.Gauge("pidfd_shim_policies_bad", "Policy files that could not be read when they were last looked at.",
		func() float64 { return float64(a.Policies.Reloaded().Bad) })
	m.Gauge("pidfd_shim_policies_read_timestamp_seconds", "When policy files were last looked at.",
		func() float64 { return float64(a.Policies.Reloaded().At.UnixMilli()) / 1000 })
	m.Counter("pidfd_shim_restart_unknown_total", "Calls of a dead agent that were answered without knowing whether their signal had been sent.",
		func() float64 { return float64(a.unknown.Load()) })
	m.Counter("pidfd_shim_restart_handed_total", "Calls of a dead agent that it had handed to its hopper: carried out exactly once, without a line of audit.",
		func() float64 { return float64(a.handed.Load()) })
	m.Counter("pidfd_shim_handovers_refused_total", "Hand-overs that were refused.", func() float64 { return float64(a.refusals.Load()) })
}

// unseen counts the containers some of whose denials nobody tells us of.
func (a *Agent) unseen() (n int) {
	for _, c := range a.Containers() {
		if c.Unseen {
			n++
		}
	}
	return n
}

// Healthy tells whether hand-overs are taken.
func (a *Agent) Healthy() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closing {
		return errors.New("stopping")
	}
	return nil
}

// Serve takes hand-overs from the socket until Stop. Listeners that it was given go on
// being served until then, too.
func (a *Agent) Serve(socket *Socket) error {
	a.mu.Lock()
	a.socket = socket
	closing := a.closing
	a.mu.Unlock()
	if closing {
		return nil
	}
	if err := a.conns.run(socket.UnixListener); err != nil {
		return fmt.Errorf("take hand-overs: %w", err)
	}
	return nil
}

// Stop ends the loops of all listeners, each after the call that it is in, and returns
// when they have ended. The socket stays open, and who connects waits. Calls made from
// then on wait for whoever serves next, or get ENOSYS when the last descriptor of their
// listener is closed.
func (a *Agent) Stop() {
	a.mu.Lock()
	if !a.closing {
		a.closing = true
		_ = a.stop.Close()
		if a.socket != nil {
			_ = a.socket.SetDeadline(time.Now())
		}
	}
	a.mu.Unlock()
	a.conns.shut()
	a.pool.Stop()
	a.work.Wait()
}

// Resume serves again what Stop has left, where nobody has taken it over: the socket's
// owner then calls Serve again. Precondition: Stop has returned.
func (a *Agent) Resume() error {
	stopped, stop, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("serve again: %w", err)
	}
	_ = a.stopped.Close()
	a.mu.Lock()
	defer a.mu.Unlock()
	a.stopped, a.stop, a.closing = stopped, stop, false
	a.pool.Resume()
	if a.socket != nil {
		_ = a.socket.SetDeadline(time.Time{})
	}
	a.conns.reopen()
	for s := range a.served {
		r := s.listener.Remember(s.journal)
		a.count(r)
		a.work.Go(func() { a.serve(s) })
	}
	return nil
}

// count adds what a dead agent has left.
func (a *Agent) count(r notify.Remains) {
	a.unknown.Add(uint64(r.Unknown))
	a.handed.Add(uint64(r.Delegated))
}

// rest waits a little where only time can help. False: the agent is stopping.
func (a *Agent) rest() bool {
	fds := []unix.PollFd{{Fd: int32(a.stopped.Fd())}}
	n, _ := unix.Poll(fds, int((100 * time.Millisecond).Milliseconds()))
	return n == 0
}

// enter makes room for one more listener, or says why there is none.
func (a *Agent) enter(s *served) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.closing:
		return fmt.Errorf("the agent is stopping")
	case len(a.served) >= a.MaxListeners:
		if !a.saidFull {
			a.saidFull = true
			a.Log.Error("limit of listeners reached: containers that start now get ENOSYS (--max-listeners)", "limit", a.MaxListeners)
		}
		return fmt.Errorf("%d listeners are served already (--max-listeners)", len(a.served))
	}
	for other := range a.served {
		if other.same(s) {
			return fmt.Errorf("this listener is served already, for container %s", other.Container)
		}
	}
	a.served[s] = struct{}{}
	return nil
}

func (a *Agent) leave(s *served) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.served, s)
	if len(a.served) < a.MaxListeners*9/10 {
		a.saidFull = false
	}
}

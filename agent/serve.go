package agent

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/audit"
	"github.com/pidfd-shim/pidfd-shim/notify"
)

// Identity is whose calls come from a listener. The container is named by whoever made
// it, so its name counts together with who that was; pids are those that the calls
// themselves bring, never those of the hand-over.
type Identity struct {
	Container string    `json:"container"`
	Peer      uint32    `json:"peer"` // uid of the runtime
	Policy    string    `json:"policy"`
	Since     time.Time `json:"since"`
}

// served is one listener under service.
type served struct {
	Identity
	listener     *notify.Listener
	seesLandlock bool
	tally        tally
}

// same tells whether two descriptors are of one listener: its calls would be answered
// by two policies.
func (s *served) same(other *served) bool { return s.listener.Same(other.listener) }

// take checks what was handed over and begins to serve it.
func (a *Agent) take(h handover, peer unix.Ucred) error {
	listener, err := notify.Adopt(h.listener, a.stopped)
	if err != nil {
		return err
	}
	wishes, err := readMetadata(h.state.Metadata)
	name, template := wishes.policy, a.Policies.denied
	if err == nil {
		name, template, err = a.Policies.pick(name)
	}
	if err != nil {
		a.Log.Error("a container asks for a policy that cannot be had: its calls are denied", "container", h.state.State.ID, "error", err)
	}
	s := &served{
		Identity: Identity{Container: h.state.State.ID, Peer: peer.Uid, Policy: name, Since: time.Now()},
		listener: listener, seesLandlock: wishes.seesLandlock,
	}
	if err := a.enter(s); err != nil {
		_ = listener.Close()
		return err
	}
	a.taken.Add(1)
	a.Log.Info("serving", "container", s.Container, "policy", s.Policy, "peer", peer.Pid, "uid", peer.Uid)
	a.work.Go(func() { a.serve(s, template) })
	return nil
}

// serve answers a listener's calls until its last task has ended, or the agent stops.
func (a *Agent) serve(s *served, template *template) {
	own := template.Attach(s.listener, s.seesLandlock)
	own.Log = a.Log.With("container", s.Container)
	own.Watchdog = &a.watchdog
	observers := audit.Several{&s.tally, a.Metrics}
	if a.Audit != nil {
		lines := a.Audit.Of(s.Container)
		defer lines.Close()
		observers = append(observers, lines)
	}
	own.Observer, own.CountsOnly = observers, a.Audit == nil
	err := own.Serve()
	a.leave(s)
	_ = s.listener.Close()
	switch {
	case errors.Is(err, notify.ErrStopped):
	case err != nil:
		a.Log.Error("stopped serving: the container's calls get ENOSYS", "container", s.Container, "error", err)
	default:
		a.Log.Info("served until its end", "container", s.Container, "calls", s.tally.calls.Load())
	}
}

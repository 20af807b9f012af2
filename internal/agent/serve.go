package agent

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/audit"
	"github.com/pidfd-shim/pidfd-shim/notify"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// Identity is whose calls come from a listener. The container is named by whoever made
// it, so its name counts together with who that was; pids are those that the calls
// themselves bring, never those of the hand-over.
type Identity struct {
	Container string    `json:"container"`
	Peer      uint32    `json:"peer"` // uid of the runtime
	Policy    string    `json:"policy"`
	State     State     `json:"policy_state,omitempty"` // "": the policy is in force
	Since     time.Time `json:"since"`
}

// served is one listener under service.
type served struct {
	Identity
	note
	listener *notify.Listener
	journal  *notify.Journal
	slot     *slot
	tally    tally
}

// fresh is a name that nothing else has. The crypto packages' is not used: what they compute
// when a process starts, each of ours would pay for.
func fresh() string {
	var random [16]byte
	_, _ = unix.Getrandom(random[:], 0) // so short a read neither fails nor is interrupted: random(7)
	return hex.EncodeToString(random[:])
}

// note is what a successor has to know of a listener; it is kept with the memory of its
// calls.
type note struct {
	Name         string   `json:"name"` // by which the keeper has it
	Of           Identity `json:"of"`
	Asked        string   `json:"asked"` // the policy that the metadata named, or ""
	Broken       bool     `json:"broken,omitempty"`
	SeesLandlock bool     `json:"sees_landlock,omitempty"`
	Unseen       bool     `json:"denials_unseen,omitempty"`
}

// same tells whether two descriptors are of one listener: its calls would be answered
// by two policies.
func (s *served) same(other *served) bool { return s.listener.Same(other.listener) }

// take checks what was handed over and begins to serve it.
func (a *Agent) take(h handover, peer unix.Ucred) error {
	listener, err := notify.Adopt(h.listener)
	if err != nil {
		return err
	}
	said, err := readMetadata(h.state.Metadata)
	s := &served{listener: listener, note: note{
		Name:  "c-" + fresh(),
		Of:    Identity{Container: h.state.State.ID, Peer: peer.Uid, Since: time.Now()},
		Asked: said.policy, Broken: err != nil, SeesLandlock: said.seesLandlock, Unseen: said.unseen,
	}}
	if err != nil {
		a.Log.Error("a container's metadata cannot be read: it is "+a.Policies.denial(), "container", s.Of.Container, "error", err)
	}
	a.identify(s)
	if err := s.remember(); err != nil {
		_ = listener.Close()
		return err
	}
	if err := a.enter(s); err != nil {
		s.close()
		return err
	}
	a.taken.Add(1)
	a.Log.Info("serving", "container", s.Container, "policy", s.Policy, "peer", peer.Pid, "uid", peer.Uid)
	a.work.Go(func() {
		// A crash before it is kept costs the listener, so nothing is answered until then.
		if err := a.Keeper.Keep(s.Name, s.listener.File(), s.journal.File()); err != nil {
			a.Log.Error("the container's calls get ENOSYS if the agent dies: its listener is not kept", "container", s.Container, "error", err)
		}
		a.serve(s)
	})
	return nil
}

// identify finds the policy that a listener is served by.
func (a *Agent) identify(s *served) {
	s.Identity = s.Of
	if s.Broken {
		s.slot = a.Policies.denied
		return
	}
	var err error
	s.slot, err = a.Policies.pick(s.Asked)
	s.Policy = a.Policies.nameOf(s.slot)
	if err != nil {
		a.Log.Error("a container asks for a policy that cannot be had: it is "+a.Policies.otherwise(),
			"container", s.Container, "policy", s.Asked, "error", err)
	}
}

// remember makes the memory of a new listener's calls.
func (s *served) remember() error {
	text, err := json.Marshal(s.note)
	if err == nil {
		s.journal, err = notify.NewJournal(text)
	}
	if err != nil {
		return fmt.Errorf("remember calls: %w", err)
	}
	s.listener.Remember(s.journal)
	return nil
}

func (s *served) close() {
	_ = s.listener.Close()
	s.journal.Close()
}

// Restore goes on with a listener that an agent before this one was handed, and with the
// calls that it had received. It takes ownership of the files.
func (a *Agent) Restore(listener, memory *os.File) error {
	l, err := notify.Adopt(listener)
	if err != nil {
		_ = memory.Close()
		return err
	}
	m, text, err := notify.OpenJournal(memory)
	if err != nil {
		_ = l.Close()
		return err
	}
	s := &served{listener: l, journal: m}
	if err := json.Unmarshal(text, &s.note); err != nil {
		s.close()
		return fmt.Errorf("read whose listener it is: %w", err)
	}
	a.identify(s)
	if err := a.enter(s); err != nil {
		s.close()
		return err
	}
	r := l.Remember(m)
	a.count(r)
	a.Log.Info("serving on", "container", s.Container, "policy", s.Policy, "unserved", r.Unserved, "sent", r.Sent, "unknown", r.Unknown, "handed", r.Delegated)
	a.work.Go(func() { a.serve(s) })
	return nil
}

// serve answers a listener's calls until its last task has ended, or the agent stops.
func (a *Agent) serve(s *served) {
	own := s.slot.template.Attach(s.listener, s.SeesLandlock)
	own.Log = a.Log.With("container", s.Container)
	own.Pool = a.pool
	observers := audit.Several{&s.tally, a.Metrics.Of(s.Policy)}
	if a.Audit != nil {
		lines := a.Audit.Of(s.Container)
		defer lines.Close()
		observers = append(observers, lines)
	}
	own.Observer, own.CountsOnly = observers, a.Audit == nil
	err := own.Serve()
	switch {
	case errors.Is(err, shim.ErrStopped): // others may go on with it
		return
	case err != nil:
		a.Log.Error("stopped serving: the container's calls get ENOSYS", "container", s.Container, "error", err)
	default:
		a.Log.Info("served until its end", "container", s.Container, "calls", s.tally.calls.Load())
	}
	a.leave(s)
	a.Keeper.Forget(s.Name)
	if err == nil {
		s.close()
	} else {
		_ = s.listener.Close() // a worker may still look at the memory
	}
}

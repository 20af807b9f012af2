package supervisor

import (
	"log/slog"
	"sync"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/emulate"
	"github.com/pidfd-shim/pidfd-shim/internal/helper"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// Service answers the calls of one filter: what Run, Traced and Attached have in common.
type Service struct {
	*Base

	// Log is the base's unless it is set.
	Log *slog.Logger

	// Observer sees every call; nil where nobody asked.
	Observer shim.Observer

	// CountsOnly says that the observer has no use for the siginfo and the target of a
	// call that the kernel runs.
	CountsOnly bool

	backend shim.Backend
	ledger  *emulate.Ledger // nil where no answered call is made again
	watch   *emulate.Watch
	workers workers

	root  int32 // the supervisor: ourselves, or under ptrace the tracer's parent
	front int32
	began uint64 // the front: when
}

// kind is what each of the three does in its own way, for one worker.
type kind interface {
	config(*emulate.Config)
	handlers(*emulate.SendSignal) *shim.Handlers
}

// loop takes calls from the backend to their answers, on threads of the pool.
func (s *Service) loop(k kind, pool *shim.Pool) *shim.Supervisor {
	if s.Wrap != nil {
		s.backend = s.Wrap(s.backend)
	}
	s.began = s.tasks().stat(s.front).Start
	loop := &shim.Supervisor{
		Backend: s.backend, Observe: s.Observer, Log: s.Log, Others: s.Others, Restarts: s.ledger != nil,
		Pool:    pool,
		Results: s.options.Results && s.Observer != nil,
	}
	loop.Handlers = func() *shim.Handlers {
		c := s.config(loop)
		k.config(&c)
		return k.handlers(s.workers.add(emulate.New(c)))
	}
	return loop
}

// config is one worker's.
func (s *Service) config(loop *shim.Supervisor) emulate.Config {
	return emulate.Config{
		Mode: s.Plan.Mode, Rules: s.Plan.Rules, Features: s.Features,
		Proc: s.Proc, Self: s.self, Backend: s.backend, Ledger: s.ledger,
		Reader:     func() *emulate.Reader { return &emulate.Reader{Helper: helper.Helper{Pool: s.readers}} },
		Pinner:     &emulate.Pinner{Pins: s.pins},
		Watch:      s.watch,
		Suspicious: loop.Suspicious,
		Observed:   s.Observer != nil && !s.CountsOnly,
		Results:    s.results(),
		Explains:   s.options.Results,
		Watched:    s.Observer != nil,
		Continues:  s.Features.Continue,
		MayPass:    s.Features.SendSignal && s.Features.Continue && s.ownRules(),
		Policy:     s.live, Unsafe: s.Plan.Unsafe, Root: s.root, Ours: s.ours, Known: s.known,
		Log: s.Log,
	}
}

// ownRules tells whether the rules asked for are the kernel's own.
func (s *Service) ownRules() bool { return s.Plan.Rules == emulate.NativeRules(s.Features) }

// results tells of a caller that is to be held in its own call, so that the result is seen:
// the call is then notified again, and has to be let through.
func (s *Service) results() bool {
	return s.options.Results && s.Plan.Backend == BackendNotify && s.Features.Continue
}

// ours tells of processes that belong to no command. The front's number can become another's.
func (s *Service) ours(pid int32) bool {
	return pid == s.self.Pid || pid == s.root || s.helpers.Has(pid) ||
		pid == s.front && s.tasks().stat(pid).Start == s.began
}

// commandHandlers are those of a command of ours, whose filter we have made.
func (s *Service) commandHandlers(calls *emulate.SendSignal) *shim.Handlers {
	handlers := &shim.Handlers{arch.PidfdSendSignal: calls.Handle}
	if s.options.siblings() {
		for _, call := range s.policy.Syscalls() {
			handlers[call] = calls.Handle
		}
		handlers[arch.PidfdOpen], handlers[arch.PidfdGetfd] = calls.Grants().Handle, calls.Grants().Handle
	}
	if s.watch != nil {
		handlers[arch.Unshare] = s.watch.Namespace
		handlers[arch.Setns] = s.watch.Namespace
		handlers[arch.LandlockRestrictSelf] = s.watch.Landlock
	}
	return handlers
}

// workers have the handlers of all workers that a service has had.
type workers struct {
	mu   sync.Mutex
	made []*emulate.SendSignal
}

func (w *workers) add(h *emulate.SendSignal) *emulate.SendSignal {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.made = append(w.made, h)
	return h
}

// close forgets the callers that they knew. Precondition: no worker is left.
func (w *workers) close() {
	for _, h := range w.made {
		h.Close()
	}
}

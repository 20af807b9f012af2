package pidfdshim

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/pidfd-shim/pidfd-shim/internal/kernel"
	"github.com/pidfd-shim/pidfd-shim/internal/supervisor"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// Version is that of the library and of the command.
const Version = "0.2.0"

// Options say how calls are answered. The zero Options allow every call.
type Options struct {
	// Policy decides whom calls may reach; nil allows all.
	Policy *Policy

	// Mode is auto, continue, forward, caller or emulate (docs/FIDELITY.md has what callers
	// and receivers can tell of each); "" is auto, the cheapest that is exact.
	Mode string

	// Semantics is native, mainline or original: whose rules the caller meets; "" is native.
	Semantics string

	// Observer, if not nil, is told of each call after its answer. With one every call is
	// notified; without, what registers decide is decided by the filter alone.
	Observer Observer

	// Handlers answer calls that the library does not know. They are called by several
	// threads at once.
	Handlers map[Number]Handler

	// Log takes what an operator should know; nil drops it.
	Log *slog.Logger
}

// A Handler answers a call. It must not keep the Call.
type Handler = shim.Handler

// Call is one intercepted call: its thread, its ABI, its number and its arguments.
type Call = shim.Call

// Verdict is how a call ends: see Return, Fail and Pass.
type Verdict = shim.Verdict

// Number names a call by the table of an ABI.
type Number = shim.Number

// Verdicts that a Handler can come to.
var (
	Return = shim.Return // the call returns a value
	Fail   = shim.Fail   // the call fails with an errno
	Pass   = shim.Pass   // the kernel runs the call
)

// Shim supervises any number of commands and listeners by the same Options.
type Shim struct {
	base     *supervisor.Base
	pool     *shim.Pool
	observer shim.Observer // nil where nobody asked

	mu     sync.Mutex
	closed bool           // guarded by mu
	served sync.WaitGroup // one each; Add under mu
}

// ErrClosed says that the Shim was closed.
var ErrClosed = errors.New("pidfdshim: closed")

// New makes a Shim. The error names the option, or what this kernel lacks.
func New(o Options) (*Shim, error) {
	log := o.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	words := supervisor.Options{
		Backend: supervisor.BackendNotify, Mode: orElse(o.Mode, "auto"), Semantics: orElse(o.Semantics, "native"),
		Observed: o.Observer != nil,
	}
	if o.Policy != nil {
		words.SetPolicy(o.Policy.policy)
	}
	base, err := supervisor.New(words, kernel.ForRun(), log)
	if err != nil {
		return nil, fmt.Errorf("pidfdshim: %w", err)
	}
	base.Helper, base.Others = startHelper, o.Handlers
	s := &Shim{base: base}
	if o.Observer != nil {
		s.observer = observed{o.Observer}
	}
	if s.pool, err = shim.NewPool(supervisor.Threads()); err != nil {
		return nil, fmt.Errorf("pidfdshim: %w", err)
	}
	return s, nil
}

func orElse(word, otherwise string) string {
	if word == "" {
		return otherwise
	}
	return word
}

// Close stops serving and ends the helper processes. Calls of commands that still run fail
// with ENOSYS from now on.
func (s *Shim) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return ErrClosed
	}
	s.closed = true
	s.mu.Unlock()
	s.pool.Stop()
	s.served.Wait()
	s.base.Close()
	go s.pool.Close() // a caller that lives may hold a thread for ever
	return nil
}

// begin counts something that is served, until done is called.
func (s *Shim) begin() (done func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	s.served.Add(1)
	return s.served.Done, nil
}

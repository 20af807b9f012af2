package supervisor

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/emulate"
	"github.com/pidfd-shim/pidfd-shim/internal/family"
	"github.com/pidfd-shim/pidfd-shim/internal/helper"
	"github.com/pidfd-shim/pidfd-shim/internal/kernel"
	"github.com/pidfd-shim/pidfd-shim/internal/proc"
	"github.com/pidfd-shim/pidfd-shim/internal/tracee"
	"github.com/pidfd-shim/pidfd-shim/notify"
	"github.com/pidfd-shim/pidfd-shim/notify/ptrace"
	"github.com/pidfd-shim/pidfd-shim/policy"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// Session is a supervisor and what it holds. It is made before the command starts, so
// that nothing it relies on comes out of the sandbox.
type Session struct {
	Plan     Plan
	Features kernel.Features
	Proc     *proc.FS
	Log      *slog.Logger

	// Observer sees every call; nil where nobody asked.
	Observer shim.Observer

	// Others are handlers of calls that this program does not know, by their numbers.
	Others map[shim.Number]shim.Handler

	// Helper starts this program in a role of its own (`__reader`) on one end of a socket
	// pair.
	Helper func(role string, socket *os.File) (*os.Process, error)

	// CountsOnly says that the observer has no use for the siginfo and the target of a
	// call that the kernel runs.
	CountsOnly bool

	// Wrap, if not nil, stands in front of the backend, and Between in a hop's steps: tests.
	Wrap    func(shim.Backend) shim.Backend
	Between func(ptrace.Step)

	// Pool has the threads, and may be shared with other sessions. Launch makes one where
	// there is none.
	Pool *shim.Pool

	options  Options
	policy   *policy.Policy // the one that the filter was made of
	live     *policy.Live
	siblings bool

	helpers  *helper.All
	known    *emulate.Known // of all that are attached, too
	held     *tracee.Held
	pins     *tracee.Pins
	attached bool // see Attach
	readers  *helper.Pool[*helper.Helper]
	hoppers  *ptrace.Hoppers
	sandbox  *emulate.Sandbox // nil unless attached
	self     emulate.Self
	root     int32 // the supervisor: ourselves, or under ptrace the tracer's parent
	front    int32
	began    uint64 // the front: when
	ledger   *emulate.Ledger
	watch    *emulate.Watch
	backend  shim.Backend
	listener *notify.Listener // nil under ptrace
	tracer   *ptrace.Tracer   // nil under notify
	family   *family.Table    // nil unless the plan says so
}

// New probes, opens what the supervisor needs of its own, and decides how calls will be
// answered.
func New(o Options, f kernel.Features, log *slog.Logger) (*Session, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	plan, err := o.Resolve(f)
	if err != nil {
		return nil, err
	}
	fs, err := proc.Open()
	if err != nil {
		return nil, fmt.Errorf("open procfs: %w", err)
	}
	self, err := emulate.ReadSelf(fs)
	if err != nil {
		return nil, plan.blame(f, err)
	}
	if plan.Family || plan.Entries {
		f.SendSignal = false
	}
	log.Info("chose how calls are answered", "backend", plan.Backend, "mode", plan.Mode, "why", plan.Why)
	s := &Session{
		Plan: plan, Features: f, Proc: fs, Log: log, self: self, helpers: &helper.All{}, known: &emulate.Known{}, held: &tracee.Held{},
		options: o, policy: o.policy, live: policy.NewLive(o.policy), siblings: o.siblings(),
	}
	s.pins = &tracee.Pins{Held: s.held}
	s.readers, s.hoppers = s.newReaders(), s.newHoppers()
	if plan.Mode != emulate.ModeContinue && (f.Continue || plan.Backend == BackendPtrace) {
		s.watch = &emulate.Watch{Proc: fs}
	}
	return s, nil
}

// Launch starts the command under the filter. start runs on the filtered thread and
// must use syscall.ForkExec; so does what it returns, until the thread may end.
func (s *Session) Launch(start func() (int, func(), error)) (int, error) {
	if err := s.Plan.CheckReach(); err != nil {
		return 0, err
	}
	program, err := notify.Compile(s.filter())
	if err != nil {
		return 0, err
	}
	if s.Pool, err = shim.NewPool(Threads()); err != nil {
		return 0, err
	}
	killable := s.Features.WaitKillable
	defer s.holdCollector()()
	var parent int
	listener, pid, err := notify.Launch(program, killable, func() (int, func(), error) {
		parent = unix.Gettid()
		return start()
	})
	if err != nil {
		return 0, err
	}
	if !s.Features.IDValidNew {
		listener.PretendOld()
	}
	if s.siblings || s.results() {
		listener.ExpectReruns()
	}
	s.held.Keep(int32(pid), parent)
	s.listener, s.backend = listener, listener
	if !killable || s.mayBeRestarted() {
		s.ledger = &emulate.Ledger{}
	}
	return pid, nil
}

// mayBeRestarted tells whether an answered call may be made again although it waits killably.
// It takes some milliseconds to find out: only where we send in a caller's name.
func (s *Session) mayBeRestarted() bool {
	switch s.Plan.Mode {
	case emulate.ModeForward, emulate.ModeEmulate, emulate.ModeAuto:
		return s.Features.KillableBroken || errors.Is(kernel.WaitKillableHolds(), errors.ErrUnsupported)
	}
	return false
}

// holdCollector keeps the garbage collector from running while a thread of ours is under
// a filter that has tgkill, and nobody answers yet: by that call the thread on which the
// collector begins or ends would interrupt the others, and wait for ever.
func (s *Session) holdCollector() (release func()) {
	if !s.siblings {
		return func() {}
	}
	percent := debug.SetGCPercent(-1)
	runtime.GC() // the end of one that runs
	return func() { debug.SetGCPercent(percent) }
}

// Serve answers calls until the last task under the filter has ended. An attached
// session then holds nothing of its listener any more.
func (s *Session) Serve() error {
	if s.Wrap != nil {
		s.backend = s.Wrap(s.backend)
	}
	supervisor := &shim.Supervisor{
		Backend: s.backend, Observe: s.Observer, Log: s.Log, Others: s.Others, Restarts: s.ledger != nil,
		Pool:    s.Pool,
		Results: s.options.Results && s.Observer != nil,
		Alone:   s.Plan.Backend == BackendPtrace, // a tracer's work is that of one thread
	}
	s.root, s.front = s.self.Pid, int32(os.Getppid())
	if s.tracer != nil {
		s.root, s.front = s.front, s.statOf(s.front).PPid
	}
	s.began = s.statOf(s.front).Start
	var all handlers
	supervisor.Handlers = func() *shim.Handlers {
		calls := all.add(emulate.New(s.config(supervisor)))
		handle := calls.Handle
		if s.attached {
			return s.attachedHandlers(handle)
		}
		handlers := &shim.Handlers{arch.PidfdSendSignal: handle}
		if s.siblings {
			for _, call := range s.policy.Syscalls() {
				handlers[call] = handle
			}
		}
		if s.watch != nil {
			handlers[arch.Unshare] = s.watch.Namespace
			handlers[arch.Setns] = s.watch.Namespace
			handlers[arch.LandlockRestrictSelf] = s.watch.Landlock
		}
		if s.family != nil {
			handlers[arch.PidfdOpen], handlers[arch.Clone] = calls.PidfdOpen, calls.Clone
			handlers[arch.Open], handlers[arch.Openat] = calls.Open, calls.Open
			handlers[arch.Wait4], handlers[arch.Waitid] = calls.Wait, calls.Wait
		}
		if s.Plan.carries() {
			handlers[ptrace.Carrier] = passUnseen
		}
		return handlers
	}
	if !s.attached {
		defer s.helpers.Close()
		return supervisor.Serve()
	}
	err := supervisor.Serve()
	if err != nil { // others go on with the listener, and must not meet us there
		supervisor.JoinFor(time.Second)
		return err
	}
	supervisor.Join()
	all.close()
	s.sandbox.Close()
	return nil
}

// handlers are those of all workers that a session has had.
type handlers struct {
	mu   sync.Mutex
	made []*emulate.SendSignal
}

func (all *handlers) add(h *emulate.SendSignal) *emulate.SendSignal {
	all.mu.Lock()
	defer all.mu.Unlock()
	all.made = append(all.made, h)
	return h
}

// close forgets the callers that they knew. Precondition: no worker is left.
func (all *handlers) close() {
	for _, h := range all.made {
		h.Close()
	}
}

// StopHelpers ends the helper processes, so that no children of the supervisor are left
// but COMMAND's.
func (s *Session) StopHelpers() { s.helpers.Stop() }

// Reap takes an event of a child of ours, when no thread of ours traces it.
func (s *Session) Reap(pid int, take func()) { s.held.Reap(pid, take) }

// WaitEnd returns when nobody is left under the filter. Precondition: every descendant
// has been reaped. A task can still be left where it moved into another pid namespace
// and lost its parent; only a listener that hangs up (5.9) tells of that. The loop may
// still be in RECV then, which until 6.11 blocks on; it ends with the process.
func (s *Session) WaitEnd(served <-chan error) error {
	if s.listener.HungUp() || kernel.ListenerHangsUp() != nil {
		return nil
	}
	hungUp := make(chan error, 1)
	go func() { hungUp <- s.listener.WaitHangUp() }()
	select {
	case err := <-served:
		return err
	case err := <-hungUp:
		return err
	}
}

// Suppressed is how many restarted calls were answered without sending again.
func (s *Session) Suppressed() uint64 {
	if s.ledger == nil {
		return 0
	}
	return s.ledger.Suppressed.Load()
}

// helperDeadline is how long a helper process may take: a read of memory that answers
// takes microseconds.
const helperDeadline = 50 * time.Millisecond

// config is one worker's.
func (s *Session) config(supervisor *shim.Supervisor) emulate.Config {
	traced := s.Plan.Backend == BackendPtrace
	c := emulate.Config{
		Mode: s.Plan.Mode, Rules: s.Plan.Rules, Features: s.Features,
		Proc: s.Proc, Self: s.self, Backend: s.backend, Ledger: s.ledger,
		Reader:     func() *emulate.Reader { return &emulate.Reader{Helper: helper.Helper{Pool: s.readers}} },
		Pinner:     &emulate.Pinner{Pins: s.pins},
		Watch:      s.watch,
		Suspicious: supervisor.Suspicious,
		NeverBlock: traced,
		Observed:   s.Observer != nil && !s.CountsOnly,
		Results:    s.results(),
		Explains:   s.options.Results,
		Watched:    s.Observer != nil,
		Continues:  traced || s.Features.Continue,
		MayPass: s.Features.SendSignal && (traced || s.Features.Continue) &&
			s.Plan.Rules == emulate.NativeRules(s.Features),
		Policy: s.live, Unsafe: s.Plan.Unsafe, Family: s.family, Root: s.root, Ours: s.ours, Sandbox: s.sandbox, Known: s.known,
		Log: s.Log,
	}
	switch {
	case s.tracer != nil:
		c.Keeper, c.Pinner = s.tracer, nil
	case (s.siblings || s.attached) && !s.Features.Continue:
		// The caller's own call would be notified again, and could not be let through.
	case s.Plan.Mode == emulate.ModeCaller, s.policy != nil, s.attached, s.results(),
		s.Plan.Mode == emulate.ModeEmulate && s.watch != nil: // for callers who may be confined
		c.Hopper = func() emulate.Hopper { return s.newHopper() }
	}
	return c
}

// results tells of a caller that is to be held in its own call, so that the result is seen:
// the call is then notified again, and has to be let through.
func (s *Session) results() bool {
	return s.options.Results && s.Plan.Backend == BackendNotify && s.Features.Continue
}

// ours tells of processes that belong to no command. The front's number can become another's.
func (s *Session) ours(pid int32) bool {
	return pid == s.self.Pid || pid == s.root || s.helpers.Has(pid) ||
		pid == s.front && s.statOf(pid).Start == s.began
}

func (s *Session) helper(role string) helper.Helper {
	return helper.Helper{
		Command:  func(socket *os.File) (*os.Process, error) { return s.Helper(role, socket) },
		Deadline: helperDeadline,
		All:      s.helpers,
	}
}

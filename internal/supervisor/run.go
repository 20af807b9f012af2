package supervisor

import (
	"runtime"
	"runtime/debug"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/emulate"
	"github.com/pidfd-shim/pidfd-shim/internal/inject"
	"github.com/pidfd-shim/pidfd-shim/internal/kernel"
	"github.com/pidfd-shim/pidfd-shim/internal/tracee"
	"github.com/pidfd-shim/pidfd-shim/notify"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// Run is the supervisor of a command under a listener of ours.
type Run struct {
	Service
	listener *notify.Listener
	pool     *shim.Pool
}

// Run makes the supervisor of a command that is yet to be launched.
func (b *Base) Run() *Run {
	return &Run{Service: b.service(b.self.Pid)}
}

// Launch starts the command under the filter. start runs on the filtered thread and
// must use syscall.ForkExec; so does what it returns, until the thread may end.
func (r *Run) Launch(start func() (int, func(), error)) (int, error) {
	if err := r.Plan.CheckReach(); err != nil {
		return 0, err
	}
	program, err := notify.Compile(r.interception().filter())
	if err != nil {
		return 0, err
	}
	if r.pool, err = shim.NewPool(Threads()); err != nil {
		return 0, err
	}
	killable := r.Features.WaitKillable
	defer r.holdCollector()()
	var parent int
	listener, pid, err := notify.Launch(program, killable, func() (int, func(), error) {
		parent = unix.Gettid()
		return start()
	})
	if err != nil {
		return 0, err
	}
	if !r.Features.IDValidNew {
		listener.PretendOld()
	}
	if r.options.siblings() || r.results() {
		listener.ExpectInjected()
	}
	r.held.Keep(int32(pid), parent)
	r.listener, r.backend = listener, listener
	if !killable || r.mayBeRestarted() {
		r.ledger = &emulate.Ledger{}
	}
	return pid, nil
}

// holdCollector keeps the garbage collector from running while a thread of ours is under
// a filter that has tgkill, and nobody answers yet: by that call the thread on which the
// collector begins or ends would interrupt the others, and wait for ever.
func (r *Run) holdCollector() (release func()) {
	if !r.options.siblings() {
		return func() {}
	}
	percent := debug.SetGCPercent(-1)
	runtime.GC() // the end of one that runs
	return func() { debug.SetGCPercent(percent) }
}

// Serve answers calls until the last task under the filter has ended.
func (r *Run) Serve() error {
	defer r.helpers.Close()
	return r.loop(r, r.pool).Serve()
}

// config has callers make calls of their own in the place of theirs where that is exact. Where
// the kernel cannot let through a call that is notified again they make none.
func (r *Run) config(c *emulate.Config) {
	switch {
	case r.options.siblings() && !r.Features.Continue:
	case r.Plan.Mode == emulate.ModeCaller, r.policy != nil, r.results(),
		r.Plan.Mode == emulate.ModeEmulate && r.watch != nil: // for callers who may be confined
		c.Injector = func() emulate.Injector {
			return &inject.Injector{Set: &tracee.Set{Held: r.held}, Pins: r.pins, Between: r.Between}
		}
	}
}

func (r *Run) handlers(calls *emulate.SendSignal) *shim.Handlers { return r.commandHandlers(calls) }

// Reap takes an event of a child of ours, when no thread of ours traces it.
func (r *Run) Reap(pid int, take func()) { r.held.Reap(pid, take) }

// WaitEnd returns when nobody is left under the filter. Precondition: every descendant
// has been reaped. A task can still be left where it moved into another pid namespace
// and lost its parent; only a listener that hangs up (5.9) tells of that. The loop may
// still be in RECV then, which until 6.11 blocks on; it ends with the process.
func (r *Run) WaitEnd(served <-chan error) error {
	if r.listener.HungUp() || kernel.ListenerHangsUp() != nil {
		return nil
	}
	hungUp := make(chan error, 1)
	go func() { hungUp <- r.listener.WaitHangUp() }()
	select {
	case err := <-served:
		return err
	case err := <-hungUp:
		return err
	}
}

package supervisor

import (
	"time"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/emulate"
	"github.com/pidfd-shim/pidfd-shim/internal/inject"
	"github.com/pidfd-shim/pidfd-shim/internal/kernel"
	"github.com/pidfd-shim/pidfd-shim/notify"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// Attached serves a listener that another program has installed.
type Attached struct {
	Service
	Pool *shim.Pool // its threads, which others share

	listener *notify.Listener
	sandbox  *emulate.Sandbox
}

// Attach makes the service of a listener that another program installed. It shares with
// b all that was probed, opened and decided.
//
// How the listener's filter waits cannot be known, so restarts are told by a ledger.
// Nor is it known whether the filter notifies of the calls that change whom a caller
// may signal: they are heeded where they come, and nothing is kept meanwhile. Unless
// seesLandlock says that landlock_restrict_self is notified, every caller may be
// confined: nothing is sent in its name that a domain could forbid.
func (b *Base) Attach(l *notify.Listener, seesLandlock bool) *Attached {
	a := &Attached{Service: b.service(b.self.Pid), listener: l, sandbox: &emulate.Sandbox{}}
	a.backend, a.ledger, a.watch = l, &emulate.Ledger{}, &emulate.Watch{Partial: true, Proc: b.Proc}
	if !seesLandlock && kernel.LandlockScopesSignals() {
		a.watch.Confine()
	}
	if !b.Features.IDValidNew {
		l.PretendOld()
	}
	l.TellTracers(b.TracerOf)
	if b.Features.Continue {
		l.ExpectInjected() // nobody tells us whether the filter notifies of them
	}
	return a
}

// AttachOwn is Attach for a listener whose filter is Program, which waits killably where the
// kernel can: nothing has to be guessed.
func (b *Base) AttachOwn(l *notify.Listener) *Attached {
	a := b.Attach(l, true)
	a.watch = &emulate.Watch{Proc: b.Proc}
	if b.Features.WaitKillable && !b.mayBeRestarted() {
		a.ledger = nil
	}
	return a
}

// Serve answers calls until the last task under the filter has ended, and holds nothing of the
// listener any more then; or until the pool is stopped.
func (a *Attached) Serve() error {
	loop := a.loop(a, a.Pool)
	err := loop.Serve()
	if err != nil { // others go on with the listener, and must not meet us there
		loop.JoinFor(time.Second)
		return err
	}
	loop.Join()
	a.workers.close()
	a.sandbox.Close()
	return nil
}

// config has callers make calls of their own in the place of theirs, in which a process traces
// them that outlives us. Where the kernel cannot let through a call that is notified again they
// make none.
func (a *Attached) config(c *emulate.Config) {
	c.Sandbox = a.sandbox
	if a.Features.Continue {
		c.Injector = func() emulate.Injector {
			return &inject.Remote{Pool: a.hoppers, Listener: a.listener.File(), Log: a.Log}
		}
	}
}

// handlers take whatever a profile notifies of and we know. A call that the
// policy in force does not name is nobody's to judge here: the kernel runs it, as it
// would have without the profile.
func (a *Attached) handlers(calls *emulate.SendSignal) *shim.Handlers {
	older, handle := a.covered(calls.Handle), a.covered(calls.Grants().Handle)
	return &shim.Handlers{
		arch.PidfdSendSignal: calls.Handle, arch.Kill: older, arch.Tkill: older, arch.Tgkill: older,
		arch.RtSigqueueinfo: older, arch.RtTgsigqueueinfo: older, arch.PidfdOpen: handle, arch.PidfdGetfd: handle,
		arch.Unshare: a.watch.Namespace, arch.Setns: a.watch.Namespace, arch.LandlockRestrictSelf: a.watch.Landlock,
	}
}

func (a *Attached) covered(handle shim.Handler) shim.Handler {
	return func(c *shim.Call) shim.Verdict {
		if p := a.live.Current(); a.Features.Continue && (p == nil || !p.Covers(c.What)) {
			a.ledger.Heard(c)
			return pass(c)
		}
		return handle(c)
	}
}

func pass(c *shim.Call) shim.Verdict {
	c.Record.Path = shim.PathContinue
	return shim.Pass()
}

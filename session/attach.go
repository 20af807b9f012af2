package session

import (
	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/emulate"
	"github.com/pidfd-shim/pidfd-shim/kernel"
	"github.com/pidfd-shim/pidfd-shim/notify"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// Attach makes the session of a listener that another program installed. It shares with
// s all that was probed, opened and decided; s itself answers nothing.
//
// How the listener's filter waits cannot be known, so restarts are told by a ledger.
// Nor is it known whether the filter notifies of the calls that change whom a caller
// may signal: they are heeded where they come, and nothing is kept meanwhile. Unless
// seesLandlock says that landlock_restrict_self is notified, every caller may be
// confined: nothing is sent in its name that a domain could forbid.
func (s *Session) Attach(l *notify.Listener, seesLandlock bool) *Session {
	own := *s
	own.listener, own.backend, own.attached = l, l, true
	own.ledger, own.watch = &emulate.Ledger{}, &emulate.Watch{Partial: true}
	if !seesLandlock && kernel.LandlockScopesSignals() {
		own.watch.Confine()
	}
	if !s.Features.IDValidNew {
		l.PretendOld()
	}
	return &own
}

// Denying makes a session like s that denies every call, for attaching: the policy that
// was to decide cannot be had.
func (s *Session) Denying() *Session {
	own := *s
	own.denying = true
	return &own
}

func deny(c *shim.Call) shim.Verdict {
	c.Record.Denied = true
	return shim.Fail(unix.EPERM)
}

// denyAll are the handlers of a denying session.
func denyAll() *shim.Handlers {
	return &shim.Handlers{
		arch.PidfdSendSignal: deny, arch.Kill: deny, arch.Tkill: deny, arch.Tgkill: deny,
		arch.RtSigqueueinfo: deny, arch.RtTgsigqueueinfo: deny,
	}
}

package supervisor

import (
	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/emulate"
	"github.com/pidfd-shim/pidfd-shim/internal/kernel"
	"github.com/pidfd-shim/pidfd-shim/notify"
	"github.com/pidfd-shim/pidfd-shim/policy"
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
	own.ledger, own.watch, own.sandbox = &emulate.Ledger{}, &emulate.Watch{Partial: true, Proc: s.Proc}, &emulate.Sandbox{}
	if !seesLandlock && kernel.LandlockScopesSignals() {
		own.watch.Confine()
	}
	if !s.Features.IDValidNew {
		l.PretendOld()
	}
	l.TellTracers(s.TracerOf)
	if s.Features.Continue {
		l.ExpectReruns() // nobody tells us whether the filter notifies of them
	}
	return &own
}

// AttachOwn is Attach for a listener whose filter is this session's Program, which waits
// killably where the kernel can: nothing has to be guessed.
func (s *Session) AttachOwn(l *notify.Listener) *Session {
	own := s.Attach(l, true)
	own.watch = &emulate.Watch{Proc: s.Proc}
	if s.Features.WaitKillable && !s.mayBeRestarted() {
		own.ledger = nil
	}
	return own
}

// attachedHandlers take whatever a profile notifies of and we know. A call that the
// policy in force does not name is nobody's to judge here: the kernel runs it, as it
// would have without the profile.
func (s *Session) attachedHandlers(handle shim.Handler) *shim.Handlers {
	older := func(c *shim.Call) shim.Verdict {
		if p := s.live.Current(); s.Features.Continue && (p == nil || !p.Covers(c.What)) {
			s.ledger.Heard(c)
			return pass(c)
		}
		return handle(c)
	}
	return &shim.Handlers{
		arch.PidfdSendSignal: handle, arch.Kill: older, arch.Tkill: older, arch.Tgkill: older,
		arch.RtSigqueueinfo: older, arch.RtTgsigqueueinfo: older,
		arch.Unshare: s.watch.Namespace, arch.Setns: s.watch.Namespace, arch.LandlockRestrictSelf: s.watch.Landlock,
	}
}

func pass(c *shim.Call) shim.Verdict {
	c.Record.Path = shim.PathContinue
	return shim.Pass()
}

// Judging makes a session like s, for attaching, that judges by p; nil allows everything. It
// shares all that s has opened.
func (s *Session) Judging(p *policy.Policy) (*Session, error) {
	own := *s
	own.options.policy = p
	plan, err := own.options.Resolve(s.Features)
	if err != nil {
		return nil, err
	}
	own.Plan, own.policy, own.live = plan, p, policy.NewLive(p)
	return &own, nil
}

// Judge puts p in force for every call, from now on, of all that were attached from s.
func (s *Session) Judge(p *policy.Policy) { s.live.Replace(p) }

// Policy is what is in force now; nil allows everything.
func (s *Session) Policy() *policy.Policy { return s.live.Current() }

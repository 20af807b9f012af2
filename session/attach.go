package session

import (
	"github.com/pidfd-shim/pidfd-shim/emulate"
	"github.com/pidfd-shim/pidfd-shim/helper"
	"github.com/pidfd-shim/pidfd-shim/notify"
)

// Attach makes the session of a listener that another program installed. It shares with
// s all that was probed, opened and decided; s itself answers nothing.
//
// How the listener's filter waits cannot be known, so restarts are told by a ledger.
// Nor is it known whether the filter notifies of the calls that change whom a caller
// may signal: they are heeded where they come, and nothing is kept meanwhile.
func (s *Session) Attach(l *notify.Listener) *Session {
	own := *s
	own.listener, own.backend = l, l
	own.helpers, own.ledger, own.watch = &helper.All{}, &emulate.Ledger{}, &emulate.Watch{Partial: true}
	if !s.Features.IDValidNew {
		l.PretendOld()
	}
	return &own
}

package emulate

import (
	"errors"

	"github.com/pidfd-shim/pidfd-shim/internal/helper"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// What one call may cost the worker that every other caller waits for: so many processes
// that it looks at in a list, climbs by, or sends to. A call that needs more is carried out
// from the deferred queue, from its start: nothing of it has gone out by then. There it is
// asked from time to time whether anybody still waits for it.
const (
	quickLooks       = 2048
	quickGenerations = 256
	quickMembers     = 8

	looksBetween = 64 // two questions whether the caller still waits
)

// spend counts one step of a call. helper.ErrLate: it has had its share here.
// shim.ErrGone: nobody waits for it.
func (h *SendSignal) spend(a *attempt, steps *int, quick int) error {
	*steps++
	switch {
	case *steps >= quick && h.mayDefer(a):
		return helper.ErrLate
	case *steps%looksBetween == 0 && !a.member && !a.out && h.Backend != nil:
		return h.Backend.Blocked(a.call)
	}
	return nil
}

// mayDefer tells whether the call can still be carried out from the deferred queue: none of
// it has gone out.
func (h *SendSignal) mayDefer(a *attempt) bool { return !a.call.Slow && !a.member && !a.out }

// cutShort is the verdict on a call that spend has ended.
func cutShort(err error) (shim.Verdict, bool) {
	switch {
	case errors.Is(err, helper.ErrLate):
		return shim.Later(), true
	case errors.Is(err, shim.ErrGone):
		return shim.Gone(), true
	}
	return shim.Verdict{}, false
}

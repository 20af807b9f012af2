package shim

import "errors"

// ErrGone says that the caller went away or was interrupted: an ordinary event.
var ErrGone = errors.New("caller no longer waits")

// Postponer is a Backend that has to know which calls wait in the slow lane, whose
// answers then come from another thread.
type Postponer interface {
	Postponed(c *Call)
}

// Backend intercepts calls. A backend is used by one worker at a time per Call;
// its methods may be called by several workers at once.
type Backend interface {
	// Next waits for a call and fills c.ID, c.Tid and c.Frame. It returns ErrGone
	// where a call vanished before it could be received, and io.EOF when the last
	// task under supervision has ended.
	Next(c *Call) error

	// Blocked tells whether the caller still waits in exactly this call: nil, or
	// ErrGone. What was read of the caller by its number is good only if Blocked
	// says nil afterwards.
	Blocked(c *Call) error

	// Answer ends the call. It returns ErrGone if the caller no longer waited;
	// whatever was done for it has then been done without its knowledge.
	Answer(c *Call, v Verdict) error
}

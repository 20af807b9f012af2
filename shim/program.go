package shim

// Program is a row of calls for a caller to make in the place of one of its own. A backend
// that has its callers stopped can run one; its other threads and processes run on meanwhile.
type Program interface {
	// Next takes what the call before has returned, nothing at first, and says what comes next.
	Next(result int64) Step

	// Forked is told of a child that the call under way has made, which has not run yet, and
	// says which descriptor it is to close before it does; -1: none.
	Forked(child int32) (closes int32)

	// Gone is told that the caller has ended in the middle.
	Gone()
}

// Step is a call, or the end.
type Step struct {
	Call  Rewrite
	Waits bool // it is the caller's own, but for its arguments: signals can end it
	Forks bool // it may have a child, of whom Forked is told

	Done  bool
	Value int64 // what the call returns for which all this was done: as a register has it
}

// End ends a program.
func End(value int64) Step { return Step{Done: true, Value: value} }

package shim

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Verdict says how a call ends. Handlers return one and only the loop acts on it,
// so each call is answered exactly once by construction. The zero Verdict is
// invalid and no backend accepts it.
type Verdict struct {
	Kind  Kind
	Value int64      // Return: what the caller's register gets
	Errno unix.Errno // Fail: positive; the backend negates it once
	Call  Rewrite    // Run: what the caller executes instead
	Steps Program    // Steps: what it executes instead, one after the other

	// Runner, if set with Run, holds the caller for it: under a backend that cannot rewrite
	// calls by itself.
	Runner Runner

	// Settler, if set, is told how the answer was received: the ledger of restarts lives by it.
	// Where calls are made again (Supervisor.Restarts) the thread's next call waits for that.
	Settler Settler

	// Release, if set, undoes what the handler has done when the caller has its answer, or is
	// gone: what it need not wait for.
	Release Release
}

// Settler learns whether an answer was accepted.
type Settler interface {
	Settled(c *Call, v Verdict, answered error)
}

// Release lets go of whom a handler has held. The worker may stay behind with it.
type Release interface {
	LetGo(w *Worker)
}

// Kind is one of the ways in which a call can end.
type Kind uint8

// The kinds of Verdict.
const (
	KindReturn Kind = iota + 1 // the call returns Value
	KindFail                   // the call fails with Errno
	KindPass                   // the kernel runs the call as it stands
	KindRun                    // the caller runs another call in its place
	KindLater                  // not decided yet: try again in the slow lane
	KindGone                   // the caller no longer waits: nothing to answer
	KindSteps                  // the caller runs a row of calls in its place
)

// Rewrite is a system call for the caller to make, everything in registers.
type Rewrite struct {
	Nr   uint64
	Args [6]uint64
	Hold Hold // on whom it names by a number: the backend's to end when it has returned
}

// Hold keeps a task's number its own, as the backend that gave it knows it. 0 is none.
type Hold uint64

// Runner makes a caller that only waits for a result run a call: Run says which, before
// the wait is answered or as it answers it, and Finish waits until it has run, or says
// ErrGone.
type Runner interface {
	Run(c *Call, call Rewrite) (answered bool, err error)
	Finish() (Result, error)
}

// Result is what a call has returned that the caller itself carried out.
type Result struct {
	Known bool
	Value int64 // negative: an errno
}

// ResultOf reads the register in which every call of ours returns an int.
func ResultOf(register uint64) Result { return Result{true, int64(int32(uint32(register)))} }

// Return ends the call with a value.
func Return(value int64) Verdict { return Verdict{Kind: KindReturn, Value: value} }

// Fail ends the call with an error of the caller's world. An errno of 0 is success.
func Fail(errno unix.Errno) Verdict {
	if errno == 0 {
		return Return(0)
	}
	return Verdict{Kind: KindFail, Errno: errno}
}

// Pass lets the kernel run the call in the caller. Precondition: nothing that the
// caller or its peers can still change went into the decision.
func Pass() Verdict { return Verdict{Kind: KindPass} }

// Run makes the caller execute another call in this one's place.
func Run(call Rewrite) Verdict { return Verdict{Kind: KindRun, Call: call} }

// Steps makes the caller execute a row of calls in this one's place.
func Steps(p Program) Verdict { return Verdict{Kind: KindSteps, Steps: p} }

// Later puts the call into the slow lane: something it needs does not answer.
func Later() Verdict { return Verdict{Kind: KindLater} }

// Gone drops a call whose caller no longer waits.
func Gone() Verdict { return Verdict{Kind: KindGone} }

// String implements fmt.Stringer.
func (v Verdict) String() string {
	switch v.Kind {
	case KindReturn:
		return fmt.Sprintf("return %d", v.Value)
	case KindFail:
		return "fail " + unix.ErrnoName(v.Errno)
	case KindPass:
		return "pass"
	case KindRun:
		return fmt.Sprintf("run %d", v.Call.Nr)
	case KindSteps:
		return "steps"
	case KindLater:
		return "later"
	case KindGone:
		return "gone"
	}
	return "invalid"
}

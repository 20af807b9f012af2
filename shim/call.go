package shim

import (
	"github.com/pidfd-shim/pidfd-shim/arch"
)

// Call is one intercepted system call. A worker owns one Call and uses it again
// for each notification, so nothing in it may be kept after Answer.
type Call struct {
	ID    uint64 // the backend's name for this wait
	Tid   int32  // the calling thread, in the supervisor's pid namespace
	Frame arch.Frame

	What arch.Syscall // these four are Decode's
	ABI  arch.ABI
	Nr   uint32 // the number without the x32 mark
	Args arch.Args

	Buffer []byte // the backend's, for receiving into

	Slow     bool  // in the slow lane: memory is read by a process that can be killed
	Received int64 // by Monotonic; 0 unless somebody observes
	Record   Record

	// Settled, if set by the handler, is told how the answer was received: the
	// ledger of restarts lives by it. Where calls are made again (Supervisor.Restarts) the
	// thread's next call waits for that.
	Settled func(c *Call, v Verdict, answered error)

	// Runner, if set by a handler that answers Run, holds the caller for it: under a
	// backend that cannot rewrite calls by itself.
	Runner Runner

	// Mark, if set by the backend, keeps how far the call has come.
	Mark Mark

	// After, if set by the handler, is called when the caller has its answer, or is gone:
	// for what it need not wait for. The worker may stay behind with it.
	After func(w *Worker)

	// Report, if set by the loop, tells the observer of the answer. A backend that learns
	// later what the call has returned sets it to nil in Answer, and calls it then with a copy.
	Report func(c *Call, v Verdict, answered error)

	worker  *Worker
	witness Witness
}

// Mark keeps how far a call has come where it outlives the supervisor.
type Mark interface {
	Sending() bool     // from here on the signal may be out; false: the call is another's by now
	Decided(v Verdict) // and if so, this is the answer
	Done()             // nobody needs to know any more

	// HandedTo says that a thread of another process traces the caller, and from here on may
	// have it run another call, whatever becomes of the supervisor. False: as of Sending.
	HandedTo(tracer int32, call Rewrite) bool
}

// Commit says that what comes next cannot be done twice. False: a successor has the call by
// now, and it must not be done.
func (c *Call) Commit() bool { return c.Mark == nil || c.Mark.Sending() }

// Committed says that it has been done, and what the answer is to be.
func (c *Call) Committed(v Verdict) {
	if c.Mark != nil {
		c.Mark.Decided(v)
	}
}

// HandOver says who carries the call out. False: as of Commit.
func (c *Call) HandOver(tracer int32, call Rewrite) bool {
	return c.Mark == nil || c.Mark.HandedTo(tracer, call)
}

// Finished says that the call has ended, or was none.
func (c *Call) Finished() {
	if c.Mark != nil {
		c.Mark.Done()
		c.Mark = nil
	}
}

// begin makes what was received a new call.
func (c *Call) begin() {
	c.Slow, c.Received = false, 0
	c.forget()
}

// forget drops what the handler of the call before has set.
func (c *Call) forget() {
	c.Settled, c.After, c.Runner, c.Record = nil, nil, nil, Record{}
}

// Sending says that the target is known (Record.TargetPid) and still as the signal
// will find it.
func (c *Call) Sending() {
	if c.witness != nil {
		c.witness.Sending(c)
	}
}

// Worker is the loop that has the call, for marking reads that may block.
func (c *Call) Worker() *Worker { return c.worker }

// Record is what became of a call, for trace lines, audit and counters. Handlers
// fill it as they learn; nothing decides by it.
type Record struct {
	PidFD int32
	Sig   int32
	Info  uint64 // address; 0 is NULL
	Flags uint32

	Siginfo    arch.Siginfo
	HasSiginfo bool

	User    [arch.RecordSize]byte // the siginfo as the caller has it, also where it is refused
	HasUser bool

	TargetPid int32 // in the supervisor's pid namespace; 0: none, or not visible
	Members   int32 // of a process group, where the signal went to one

	CallerIDs, TargetIDs IDs // of Tid and TargetPid

	Result Result // of Pass and Run, where somebody has seen it

	Check     uint8 // which of the kernel's numbered checks refused (emulate/sendsignal.go); 0: none, or not known
	Path      Path
	Sent      Sent
	Guard     Guard
	Rule      string
	Why       string // why rules before did not match; only where somebody reads it
	Denied    bool
	Logged    bool // Rule would have denied it
	Duplicate bool
	Averted   bool // the target's number was not its own any more: nothing was sent
	Quiet     bool // nothing was decided: the call was looked at for another's sake
	Unsafe    bool // run by the kernel although what was decided on may have changed

	Notes any // the observer's, from Sending or Before to After
}

// IDs are what a handler has read of a task for this call, so that nobody has to do so again.
type IDs struct {
	Known bool
	Tgid  int32
	UID   uint32 // real

	// Handle, if not nil, is what they were read through: the same one is the same task,
	// which had its number then.
	Handle any
}

// Path is the way a call was answered (DESIGN section 3).
type Path uint8

// The ways, from the cheapest.
const (
	PathNone Path = iota
	PathContinue
	PathForward
	PathCaller
	PathEmulate
	PathCount
)

// String implements fmt.Stringer.
func (p Path) String() string {
	return [...]string{"none", "continue", "forward", "caller", "emulate"}[p]
}

// Sent is the system call by which the signal went out.
type Sent uint8

// The system calls that can carry the signal.
const (
	SentNone Sent = iota
	SentPidfdSendSignal
	SentRtSigqueueinfo
	SentRtTgsigqueueinfo
	SentTgkill
	SentKill
)

// String implements fmt.Stringer.
func (s Sent) String() string {
	return [...]string{"none", "pidfd_send_signal", "rt_sigqueueinfo", "rt_tgsigqueueinfo", "tgkill", "kill"}[s]
}

// Guard is what kept the target's number from being recycled during the send,
// strongest first (DESIGN section 6).
type Guard uint8

// The guards.
const (
	GuardNone Guard = iota
	GuardPidfd
	GuardTracee
	GuardSeize
	GuardOwner
	GuardNarrowed
)

// String implements fmt.Stringer.
func (g Guard) String() string {
	return [...]string{"none", "pidfd", "tracee", "seize", "owner", "narrowed"}[g]
}

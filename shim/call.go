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
	Nr   uint32 // the number without its ABI's mark
	Args arch.Args

	Buffer []byte // the backend's, for receiving into

	Slow     bool  // in the slow lane: memory is read by a process that can be killed
	Received int64 // by Monotonic; 0 unless somebody observes
	Record   Record

	// Entry is the backend's journal entry of the call; nil where nothing outlives the supervisor.
	Entry Entry

	// Reports says that the observer waits for what the call returns. A backend that learns that
	// later than in Answer sets it to false there, and tells the observer itself.
	Reports bool

	worker *Worker
}

// Entry keeps how far a call has come where it outlives the supervisor. Each step is a
// compare-and-swap: of two who have the call one alone takes it.
type Entry interface {
	BeginSend() bool // from here on the signal may be out; false: the call is another's by now
	Sent(v Verdict)  // and if so, this is the answer
	Done()           // nobody needs to know any more

	// Delegate says that a thread of another process traces the caller, and from here on may
	// have it run another call, whatever becomes of the supervisor. False: as of BeginSend.
	Delegate(tracer int32, call Rewrite) bool
}

// BeginSend says that what comes next cannot be done twice. False: a successor has the call by
// now, and it must not be done.
func (c *Call) BeginSend() bool { return c.Entry == nil || c.Entry.BeginSend() }

// Sent says that it has been done, and what the answer is to be.
func (c *Call) Sent(v Verdict) {
	if c.Entry != nil {
		c.Entry.Sent(v)
	}
}

// Delegate says who carries the call out. False: as of BeginSend.
func (c *Call) Delegate(tracer int32, call Rewrite) bool {
	return c.Entry == nil || c.Entry.Delegate(tracer, call)
}

// Finished says that the call has ended, or was none.
func (c *Call) Finished() {
	if c.Entry != nil {
		c.Entry.Done()
		c.Entry = nil
	}
}

// begin makes what was received a new call.
func (c *Call) begin() {
	c.Slow, c.Received, c.Record = false, 0, Record{}
}

// BeforeSend says that the target is known (Record.TargetPid) and still as the signal
// will find it.
func (c *Call) BeforeSend() {
	if c.worker == nil {
		return
	}
	if w, ok := c.worker.of.Load().Observe.(Witness); ok {
		w.BeforeSend(c)
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

	Check     uint8 // which of the kernel's numbered checks refused (emulate/check.go); 0: none, or not known
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

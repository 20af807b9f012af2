package emulate

import (
	"log/slog"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/family"
	"github.com/pidfd-shim/pidfd-shim/internal/kernel"
	"github.com/pidfd-shim/pidfd-shim/internal/proc"
	"github.com/pidfd-shim/pidfd-shim/internal/task"
	"github.com/pidfd-shim/pidfd-shim/policy"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// Mode is how calls that reach the supervisor are answered.
type Mode uint8

// The modes of `run --mode`.
const (
	ModeAuto Mode = iota
	ModeContinue
	ModeForward
	ModeCaller
	ModeEmulate
)

// String implements fmt.Stringer.
func (m Mode) String() string {
	return [...]string{"auto", "continue", "forward", "caller", "emulate"}[m]
}

// Rules are the rules of the system call that the caller is to meet: which flags and
// special descriptors exist. They differ by kernel version.
type Rules struct {
	Flags      uint32 // accepted flag bits: 0 until 6.8, 7 since 6.9
	SelfThread int32  // PIDFD_SELF_THREAD; 0 where the kernel has none
	SelfGroup  int32  // PIDFD_SELF_THREAD_GROUP
	Original   bool   // as first posted: SI_USER info to another process becomes a kill
}

// Injector holds a waiting caller until it has run another call, or is let go. Hold also pins
// a target, if that is not 0, for as long; held or not: the caller is traced already, or
// may not be. LetGo is for when a call has its answer: behind asks whether this thread may
// stay behind to wait for a caller.
type Injector interface {
	shim.Runner
	Hold(c *shim.Call, target int32) (held, pinned bool)
	Drop()
	LetGo(behind func() bool)
}

// Keeper keeps a task's number from being given to another until Release, by tracing it.
// Whoever is not of the tree is seized for it. ESRCH: nobody has the number. EALREADY: its
// owner's exit has begun.
type Keeper interface {
	Keep(pid int32) (shim.Hold, shim.Guard, unix.Errno)
	Release(hold shim.Hold)
}

// The two fixed sets of rules; native ones come from the kernel's features.
var (
	Mainline = Rules{Flags: flagThread | flagThreadGroup | flagProcessGroup, SelfThread: -10000, SelfGroup: -10001}
	Original = Rules{Original: true}
)

// NativeRules are this kernel's, or Mainline where it lacks the call.
func NativeRules(f kernel.Features) Rules {
	if !f.SendSignal {
		return Mainline
	}
	return Rules{Flags: f.SignalFlags, SelfThread: f.SelfThread, SelfGroup: f.SelfGroup}
}

// Config is what the handlers of all workers share.
type Config struct {
	Mode     Mode
	Rules    Rules
	Features kernel.Features
	Proc     *proc.FS
	Self     task.Self
	Backend  shim.Backend
	Ledger   *Ledger // nil where WAIT_KILLABLE_RECV makes restarts impossible

	// Reader makes one helper for each worker.
	Reader func() *Reader

	// Pinner keeps numbers their own; nil under a Keeper.
	Pinner *Pinner

	// Watch is told of callers that change their user namespace or confine themselves;
	// nil where such calls are not intercepted.
	Watch *Watch

	// Keeper keeps numbers under a backend that traces everybody; nil without.
	Keeper Keeper

	// Injector, if not nil, makes the holder of callers under a backend that cannot rewrite
	// calls by itself; one for each worker.
	Injector func() Injector

	// Family, if not nil, has the process descriptors of a kernel that has none.
	Family *family.Table

	// NeverBlock is for a loop that nobody can replace: memory that is not present goes
	// to the slow lane at once.
	NeverBlock bool

	// Suspicious says that reading a caller's memory has been seen to block.
	Suspicious func() bool

	// Observed is true where somebody wants to see siginfo and target also of calls
	// that the kernel runs.
	Observed bool

	// Watched is true where somebody sees the verdicts, if nothing else.
	Watched bool

	// Explains is true where somebody reads why a call was denied.
	Explains bool

	// Results is true where somebody wants to see what calls return that the kernel runs.
	Results bool

	// Continues says that the backend can hand a call back to the kernel. MayPass says so
	// of pidfd_send_signal: the kernel has it, with the rules that the caller is to meet.
	Continues bool
	MayPass   bool

	// Policy, if not nil, says which calls are allowed. Unsafe lets the kernel run calls
	// although its rules asked for what another thread can still change.
	Policy *policy.Live
	Unsafe bool

	// Root is the process whose descendants are the supervisor's tree: the supervisor, which
	// is not Self under ptrace. Ours reports whether a process is in nobody's tree: the
	// supervisor, the front, tracers, helpers.
	Root int32
	Ours func(pid int32) bool

	// Sandbox, if not nil, is the container that a policy means by its sandbox; without it
	// that is whoever descends from the supervisor.
	Sandbox *Sandbox

	// Known, if not nil, are all handlers of the process.
	Known *Known

	Log *slog.Logger
}

package ptrace

import (
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/internal/sys"
	"github.com/pidfd-shim/pidfd-shim/internal/tracee"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// Tracer is the backend. Next and Answer of the fast lane come from one locked thread,
// which owns every tracee; answers of the slow lane are handed to it.
type Tracer struct {
	Log *slog.Logger

	// Init tells whether a task is the init of a pid namespace below ours. Being traced it
	// would lose its protection from the SIGSTOP of its own namespace (kernel/signal.c,
	// sig_task_ignored and sig_ignored).
	Init func(tid int32) bool

	// Ended tells whether a task has ended, reaped or not.
	Ended func(tid int32) bool

	// Threads lists the threads of a process.
	Threads func(pid int32) []int32

	// Ends, if not nil, is told of every end before anybody else is.
	Ends Ends

	// Tagged says that there is no PTRACE_GET_SYSCALL_INFO (before 5.3): the filter's tag,
	// the registers and the instruction tell what a call is. The filter then stops those
	// that add filters, too.
	Tagged bool

	// Observe is the loop's, for calls whose results come later than their answers.
	Observe shim.Observer

	// Sandbox is the one around us, if it answers calls that are ours.
	Sandbox Sandbox

	calls uint64 // seen so far

	starting starting
	decoder  decoder
	table    table
	holds    holds
	waiter   waiter
	runs     runs
	late     late
}

// Ends watches tasks whose ends others wait for by a descriptor of ours.
type Ends interface {
	Empty() bool     // nobody is waited for
	Ended(tid int32) // and can be waited for the moment after, by whoever is not the tracer
}

// New makes the tracer of COMMAND, which is stopped before its first instruction. The
// first Next seizes it and tells seized: all requests have to come from one thread.
func New(pid int32, seized func(error), log *slog.Logger) *Tracer {
	t := &Tracer{Log: log, starting: starting{command: pid, seized: seized}, table: table{of: map[int32]*member{}}}
	t.holds = holds{table: &t.table, of: map[shim.Hold]held{}}
	t.waiter = waiter{table: &t.table}
	t.runs = runs{log: log, table: &t.table, holds: &t.holds, births: newBirths()}
	t.holds.pins.start()
	return t
}

// Next implements shim.Backend: it handles stops until one is a call.
func (t *Tracer) Next(c *shim.Call) error {
	if t.starting.seized != nil {
		if err := t.start(); err != nil {
			return err
		}
	}
	for {
		if t.settle(); t.table.empty() {
			return io.EOF
		}
		s, err := t.waiter.next(t.Ends)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.ECHILD):
			return io.EOF
		case err != nil:
			return os.NewSyscallError("wait4", err)
		case s.held:
			t.endCalls()
			continue
		case s.tid == 0:
			t.waiter.rest(t.Ends)
			continue
		}
		if t.handle(s.tid, s.status, c) {
			return nil
		}
	}
}

// start takes COMMAND, and says so.
func (t *Tracer) start() error {
	t.decoder.tagged, t.runs.observe = t.Tagged, t.Observe
	t.runs.sandbox = t.Sandbox
	err := t.starting.seize()
	if err == nil {
		t.table.see(t.starting.command)
		t.runs.resume(unix.PTRACE_LISTEN, t.starting.command, 0)
	}
	t.starting.seized(err)
	t.starting.seized = nil
	return err
}

// settle lets go of those whom nobody holds any more, and gives the slow lane's answers.
func (t *Tracer) settle() {
	t.holds.settle(t.Ends != nil)
	for _, a := range t.late.take() {
		c := &a.call
		err := t.answer(c, a.verdict)
		if err != nil {
			t.Log.Debug("answer from the slow lane", "tid", c.Tid, "error", err)
		}
		if c.Reports {
			t.Observe.After(c, a.verdict, err)
		}
	}
}

// endCalls ends the calls of those who have died in them, and so what these hold.
func (t *Tracer) endCalls() {
	for _, task := range t.table.runners() {
		if t.Ended(task.tid) {
			t.endCall(task)
		}
	}
	time.Sleep(10 * time.Microsecond) //nolint:forbidigo // a wait for stops alone would not end with the task
}

// handle does what a stop asks for. It returns true for a call, which stays stopped.
func (t *Tracer) handle(tid int32, status unix.WaitStatus, c *shim.Call) bool {
	event, sig := tracee.Classify(status)
	if event == tracee.EventExited {
		t.forget(tid)
		return false
	}
	task := t.table.see(tid)
	switch event {
	case tracee.EventSeccomp:
		if task.steps != nil { // a call of ours, of which a filter asks
			break
		}
		return t.called(task, c)
	case tracee.EventSyscall:
		t.runs.syscallStop(task)
		return false
	case tracee.EventExit:
		t.leaves(task)
		return false
	case tracee.EventSignal:
		if t.starting.isOurs(tid, sig) || sig == unix.SIGSTOP && t.spared(tid) {
			sig = 0
		}
		if sig == unix.SIGSYS && t.runs.trapped(task) {
			return false
		}
		t.runs.goOn(task, sig)
		return false
	case tracee.EventGroupStop:
		t.runs.resume(unix.PTRACE_LISTEN, tid, 0)
		return false
	case tracee.EventFork:
		if child, errno := sys.PtraceEventMsg(tid); errno == 0 {
			t.table.announce(int32(child))
			t.runs.forked(task, int32(child))
		}
	case tracee.EventStop:
		if t.runs.first(task) {
			return false
		}
	case tracee.EventExec:
		t.execed(tid)
		task = t.table.see(tid)
	}
	t.runs.goOn(task, 0)
	return false
}

// called is a stop that a filter asked for.
func (t *Tracer) called(task *member, c *shim.Call) bool {
	if task.carried != nil && !t.runs.arrived(task) {
		return false
	}
	described := t.decoder.describe(task.tid, c)
	switch {
	case !described && !inSeccompStop(task.tid):
		return false // it was killed meanwhile
	case !described:
		_ = t.runs.skip(task.tid, failure(unix.ENOSYS))
		return false
	case t.decoder.tagged && t.decoder.filters(c):
		t.runs.resume(unix.PTRACE_CONT, task.tid, 0)
		return false
	}
	t.calls++
	c.ID, c.Tid = t.calls, task.tid
	t.table.enters(task, c.ID)
	return true
}

// forget drops a task that is none any more: it has been reaped, or execve has taken it.
func (t *Tracer) forget(tid int32) {
	t.runs.births.forget(tid)
	if task := t.table.drop(tid); task != nil {
		t.endCall(task)
	}
}

// endCall is the end of the call that a tracee is stopped in, or makes in its place.
func (t *Tracer) endCall(task *member) {
	t.table.end(task)
	t.runs.abandon(task)
	t.runs.returned(task)
}

// leaves is PTRACE_EVENT_EXIT: nothing of the task's own runs any more. It is let go, so
// that everybody hears of its end in the kernel's own order: a tracee's parent can wait for
// it only after we have, when its pidfd has long been readable. What the tracer would reap
// is left to the parent, and the number with it: so whose number is held stays here until
// it is not. Who may be waited for by a descriptor of ours stays to his end, which the tracer
// then tells. EXITKILL has nothing to do any more.
func (t *Tracer) leaves(task *member) {
	t.endCall(task)
	t.runs.births.forget(task.tid)
	t.holds.leave(task, t.Ends != nil)
}

// execed follows a thread that called execve and now has its leader's id
// (PTRACE_EVENT_EXEC, "execve(2) under ptrace"): its former id is in the message.
func (t *Tracer) execed(tid int32) {
	former, errno := sys.PtraceEventMsg(tid)
	if errno == 0 && int32(former) != tid {
		t.forget(int32(former))
		t.forget(tid)                  // the leader: it may have died in whatever call it was, without a word
		t.table.see(tid).inside = true // in its execve
	}
}

// spared tells of a SIGSTOP that the kernel would have dropped, had we not been here: to
// the init of a pid namespace, from inside it, where the sender has a number.
func (t *Tracer) spared(tid int32) bool {
	var info [128]byte
	if sys.PtraceGetSiginfo(tid, &info) != 0 {
		return false
	}
	record := arch.NativeSiginfo(info[:])
	return record.Pid() != 0 && t.Init != nil && t.Init(tid)
}

// Blocked implements shim.Backend. A tracee at a stop of ours can only be killed.
func (t *Tracer) Blocked(c *shim.Call) error {
	if !t.table.isIn(c) || c.Slow && t.Ended(c.Tid) || !c.Slow && !inSeccompStop(c.Tid) {
		return shim.ErrGone
	}
	return nil
}

// inSeccompStop tells whether a tracee is still where a filter stopped it: one that was
// killed is not, or is at its exit, and who has a leader's number by an execve meanwhile is
// not, either.
func inSeccompStop(tid int32) bool {
	var info [128]byte
	const code = uint32(unix.SIGTRAP) | unix.PTRACE_EVENT_SECCOMP<<8 // kernel/signal.c, ptrace_do_notify
	return sys.PtraceGetSiginfo(tid, &info) == 0 && binary.LittleEndian.Uint32(info[8:]) == code
}

// Traces tells whether a task's end comes to us first.
func (t *Tracer) Traces(tid int32) bool { return t.table.has(tid) }

// Keep implements emulate.Keeper: a tracee's number is not given to another before we have
// let go of it. A leader that has ended is none any more, but while another thread of its
// process is held nobody can reap it.
func (t *Tracer) Keep(pid int32) (shim.Hold, shim.Guard, unix.Errno) {
	return t.holds.keep(pid, t.Threads)
}

// Release implements emulate.Keeper. Whoever holds a number from another thread has a call in the
// slow lane, for which the loop does not sleep.
func (t *Tracer) Release(hold shim.Hold) { t.holds.release(hold) }

// Postponed implements shim.Postponer: the call's tracee stays stopped.
func (t *Tracer) Postponed(c *shim.Call) { t.table.postpone(c) }

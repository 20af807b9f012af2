package ptrace

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/arch/amd64"
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

	// Pinned takes the stop of a task that this thread traces for another reason: false if
	// it does not. Nil: there are none.
	Pinned func(tid int32, status unix.WaitStatus) bool

	// Ended tells whether a task has ended, reaped or not.
	Ended func(tid int32) bool

	// Tagged says that there is no PTRACE_GET_SYSCALL_INFO (before 5.3): the filter's tag,
	// the registers and the instruction tell what a call is. The filter then stops those
	// that add filters, too.
	Tagged bool

	command    int32
	seized     func(error) // nil once told
	continuing bool        // the SIGCONT that starts COMMAND is still to come
	blocked    uint64      // COMMAND's signal mask, to be set when it has come

	filtered bool                // a filter may have been added inside: tags can be forged
	running  map[int32]rewritten // tracees between a rewritten call's start and its end

	mu      sync.Mutex // guards below
	tracees map[int32]bool
	late    []lateAnswer
	slow    map[int32]bool // tracees whose call is in the slow lane
}

// rewritten is a call that the caller makes in another's place, or one that is looked at
// until it returns.
type rewritten struct {
	before arch.Regs
	own    bool // the caller's own call: there is nothing to put back
	done   func()
	seen   *shim.Call // to be reported with its result; nil where nobody asks
	as     shim.Verdict
}

type lateAnswer struct {
	call    shim.Call
	verdict shim.Verdict
}

// options are set at PTRACE_SEIZE: every new task of the tree is seized like its
// parent, and none outlives the tracer (EXITKILL): without it their calls would get
// ENOSYS, but a task stopped at the time would stay so for ever.
const options = unix.PTRACE_O_TRACESECCOMP | unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_EXITKILL |
	unix.PTRACE_O_TRACEFORK | unix.PTRACE_O_TRACEVFORK | unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEEXEC

// New makes the tracer of COMMAND, which is stopped before its first instruction. The
// first Next seizes it and tells seized: all requests have to come from one thread.
func New(pid int32, seized func(error), log *slog.Logger) *Tracer {
	return &Tracer{
		Log: log, command: pid, seized: seized,
		running: map[int32]rewritten{}, tracees: map[int32]bool{}, slow: map[int32]bool{},
	}
}

// seize takes COMMAND and waits for the stop that it is in.
func (t *Tracer) seize() error {
	pid := t.command
	if errno := request(unix.PTRACE_SEIZE, pid, 0, options); errno != 0 {
		return fmt.Errorf("trace process %d: %w: is it traced already, or does Yama forbid it (/proc/sys/kernel/yama/ptrace_scope)?", pid, errno)
	}
	t.meet(pid)
	for {
		var status unix.WaitStatus
		_, err := unix.Wait4(int(pid), &status, unix.WALL, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return os.NewSyscallError("wait4", err)
		}
		if event, _ := classify(status); event != eventGroupStop {
			return fmt.Errorf("trace process %d: it was not stopped (status %#x)", pid, uint32(status))
		}
		return t.expectCont(pid)
	}
}

// expectCont makes COMMAND ready for the SIGCONT that starts it: a COMMAND that was
// born with SIGCONT blocked would otherwise find ours pending.
func (t *Tracer) expectCont(pid int32) error {
	mask, errno := getSigmask(pid)
	if errno == 0 {
		errno = setSigmask(pid, mask&^(1<<(unix.SIGCONT-1)))
	}
	if errno != 0 {
		return fmt.Errorf("trace process %d: its signal mask: %w", pid, errno)
	}
	t.blocked, t.continuing = mask, true
	t.resume(unix.PTRACE_LISTEN, pid, 0)
	return nil
}

// Next implements shim.Backend: it handles stops until one is a call.
func (t *Tracer) Next(c *shim.Call) error {
	if t.seized != nil {
		err := t.seize()
		t.seized(err)
		t.seized = nil
		if err != nil {
			return err
		}
	}
	for {
		if t.alone() {
			return io.EOF
		}
		t.answerLate()
		tid, status, err := t.next(c)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.ECHILD):
			return io.EOF
		case err != nil:
			return os.NewSyscallError("wait4", err)
		case tid == 0: // only while the slow lane may answer
			time.Sleep(time.Millisecond) //nolint:forbidigo // a thread in wait4 cannot be woken
			continue
		}
		if t.handle(tid, status, c) {
			return nil
		}
	}
}

// waitFlags keeps to this thread's tracees, and lets wait4 return at once while answers may come from the slow lane: a
// thread in wait4 cannot be woken for them.
func (t *Tracer) waitFlags() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.slow) > 0 {
		return unix.WALL | unix.WNOTHREAD | unix.WNOHANG
	}
	return unix.WALL | unix.WNOTHREAD
}

// handle does what a stop asks for. It returns true for a call, which stays stopped.
func (t *Tracer) handle(tid int32, status unix.WaitStatus, c *shim.Call) bool {
	if t.Pinned != nil && t.Pinned(tid, status) {
		return false
	}
	event, sig := classify(status)
	if event == eventExited {
		t.forget(tid)
		return false
	}
	t.see(tid)
	switch event {
	case eventSeccomp:
		return t.called(tid, c)
	case eventSyscall:
		t.syscallStop(tid)
		return false
	case eventSignal:
		if sig == unix.SIGCONT && t.continuing && tid == t.command {
			sig, t.continuing = 0, false // ours: COMMAND is not to see it
			_ = setSigmask(tid, t.blocked)
		}
		if sig == unix.SIGSTOP && t.spared(tid) {
			sig = 0
		}
		t.resume(unix.PTRACE_CONT, tid, sig)
		return false
	case eventGroupStop:
		t.resume(unix.PTRACE_LISTEN, tid, 0)
		return false
	case eventFork:
		if child, errno := eventMsg(tid); errno == 0 {
			t.announce(int32(child))
		}
	case eventExec:
		t.execed(tid)
	}
	t.resume(unix.PTRACE_CONT, tid, 0)
	return false
}

// called is a stop that a filter asked for.
func (t *Tracer) called(tid int32, c *shim.Call) bool {
	switch {
	case !t.describe(tid, c):
		_ = t.skip(tid, failure(unix.ENOSYS))
		return false
	case t.Tagged && t.filters(c):
		t.resume(unix.PTRACE_CONT, tid, 0)
		return false
	}
	return true
}

// resume lets a tracee go on. One that was killed meanwhile is ESRCH: its end comes.
func (t *Tracer) resume(how int, tid int32, sig unix.Signal) {
	if _, rewritten := t.running[tid]; rewritten && how == unix.PTRACE_CONT {
		how = unix.PTRACE_SYSCALL
	}
	if errno := request(how, tid, 0, uintptr(sig)); errno != 0 && errno != unix.ESRCH {
		t.Log.Error("resume a tracee", "tid", tid, "error", errno)
	}
}

// spared tells of a SIGSTOP that the kernel would have dropped, had we not been here: to
// the init of a pid namespace, from inside it, where the sender has a number.
func (t *Tracer) spared(tid int32) bool {
	var info [128]byte
	if getSiginfo(tid, &info) != 0 {
		return false
	}
	record := amd64.DecodeSiginfo(info[:])
	return record.Pid() != 0 && t.Init != nil && t.Init(tid)
}

// announce meets a new task, whose own first stop comes before or after its parent's,
// which names it. It may even have ended by then, and been reaped: ECHILD.
func (t *Tracer) announce(child int32) {
	err := unix.Waitid(unix.P_PID, int(child), nil, unix.WEXITED|unix.WSTOPPED|unix.WNOHANG|unix.WNOWAIT|unix.WALL, nil)
	if !errors.Is(err, unix.ECHILD) {
		t.meet(child)
	}
}

func (t *Tracer) see(tid int32) {
	if !t.Pins(tid) {
		t.meet(tid)
	}
}

func (t *Tracer) meet(tid int32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tracees[tid] = true
}

// forget drops a task that has ended.
func (t *Tracer) forget(tid int32) {
	t.abandon(tid)
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.tracees, tid)
	delete(t.slow, tid)
}

// execed follows a thread that called execve and now has its leader's id
// (PTRACE_EVENT_EXEC, "execve(2) under ptrace"): its former id is in the message.
func (t *Tracer) execed(tid int32) {
	former, errno := eventMsg(tid)
	if errno == 0 && int32(former) != tid {
		t.forget(int32(former))
		t.forget(tid) // the leader: it died in whatever call it was, without a word
		t.meet(tid)
	}
}

// alone tells that no tracee is left. Children of our own, the helpers, may be.
func (t *Tracer) alone() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.tracees) == 0
}

// Pins tells whether a process is a tracee of ours: its number is not given to another
// before we have reaped it.
func (t *Tracer) Pins(tid int32) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.tracees[tid]
}

// Blocked implements shim.Backend. A tracee at a stop of ours can only be killed, and
// its number stays its own until we reap it.
func (t *Tracer) Blocked(c *shim.Call) error {
	if !t.Pins(c.Tid) || c.Slow && t.Ended(c.Tid) {
		return shim.ErrGone
	}
	// A leader that another thread's exec kills leaves its number to that thread.
	var info [128]byte
	if !c.Slow && getSiginfo(c.Tid, &info) == unix.ESRCH {
		return shim.ErrGone
	}
	return nil
}

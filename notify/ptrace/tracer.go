package ptrace

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch/amd64"
	"github.com/pidfd-shim/pidfd-shim/internal/sys"
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

	command    int32
	seized     func(error) // nil once told
	continuing bool        // the SIGCONT that starts COMMAND is still to come
	blocked    uint64      // COMMAND's signal mask, to be set when it has come

	filtered bool   // a filter may have been added inside: tags can be forged
	calls    uint64 // seen so far
	taken    []stop // in the order in which they are to be handled
	turns    int    // since all were taken

	tree
	births
	pins pins
}

// Ends watches tasks whose ends others wait for by a descriptor of ours.
type Ends interface {
	Empty() bool     // nobody is waited for
	Ended(tid int32) // and can be waited for the moment after, by whoever is not the tracer
}

// options are set at PTRACE_SEIZE: every new task of the tree is seized like its
// parent, and none outlives the tracer (EXITKILL): without it their calls would get
// ENOSYS, but a task stopped at the time would stay so for ever. All stop at their exit.
const options = unix.PTRACE_O_TRACESECCOMP | unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_EXITKILL |
	unix.PTRACE_O_TRACEFORK | unix.PTRACE_O_TRACEVFORK | unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEEXEC | unix.PTRACE_O_TRACEEXIT

// New makes the tracer of COMMAND, which is stopped before its first instruction. The
// first Next seizes it and tells seized: all requests have to come from one thread.
func New(pid int32, seized func(error), log *slog.Logger) *Tracer {
	t := &Tracer{Log: log, command: pid, seized: seized, tree: newTree(), births: newBirths()}
	t.pins.start()
	return t
}

// seize takes COMMAND and waits for the stop that it is in.
func (t *Tracer) seize() error {
	pid := t.command
	if errno := sys.PtraceSeize(pid, options); errno != 0 {
		return fmt.Errorf("trace process %d: %w: is it traced already, or does Yama forbid it (/proc/sys/kernel/yama/ptrace_scope)?", pid, errno)
	}
	t.see(pid)
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
	mask, errno := sys.PtraceGetSigmask(pid)
	if errno == 0 {
		errno = sys.PtraceSetSigmask(pid, mask&^(1<<(unix.SIGCONT-1)))
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
		if t.settle(); t.alone() {
			return io.EOF
		}
		tid, status, err := t.next()
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.ECHILD):
			return io.EOF
		case err != nil:
			return os.NewSyscallError("wait4", err)
		case tid == 0:
			t.rest()
			continue
		}
		if t.handle(tid, status, c) {
			return nil
		}
	}
}

// handle does what a stop asks for. It returns true for a call, which stays stopped.
func (t *Tracer) handle(tid int32, status unix.WaitStatus, c *shim.Call) bool {
	event, sig := classify(status)
	if event == eventExited {
		t.forget(tid)
		return false
	}
	task := t.see(tid)
	switch event {
	case eventSeccomp:
		if task.steps != nil { // a call of ours, of which a filter asks
			t.goOn(tid, task, 0)
			return false
		}
		return t.called(tid, task, c)
	case eventSyscall:
		t.syscallStop(tid, task)
		return false
	case eventExit:
		t.leaves(tid, task)
		return false
	case eventSignal:
		if sig == unix.SIGCONT && t.continuing && tid == t.command {
			sig, t.continuing = 0, false // ours: COMMAND is not to see it
			_ = sys.PtraceSetSigmask(tid, t.blocked)
		}
		if sig == unix.SIGSTOP && t.spared(tid) {
			sig = 0
		}
		t.goOn(tid, task, sig)
		return false
	case eventGroupStop:
		t.resume(unix.PTRACE_LISTEN, tid, 0)
		return false
	case eventFork:
		if child, errno := sys.PtraceEventMsg(tid); errno == 0 {
			t.announce(int32(child))
			t.forked(task, int32(child))
		}
	case eventStop:
		if t.first(tid, task) {
			return false
		}
	case eventExec:
		t.execed(tid)
		task = t.see(tid)
	}
	t.goOn(tid, task, 0)
	return false
}

// goOn lets a tracee go on, to the end of the call that it makes if it makes one for us.
func (t *Tracer) goOn(tid int32, task *member, sig unix.Signal) {
	how := unix.PTRACE_CONT
	if task.running {
		how = unix.PTRACE_SYSCALL
	}
	t.resume(how, tid, sig)
}

// called is a stop that a filter asked for.
func (t *Tracer) called(tid int32, task *member, c *shim.Call) bool {
	described := t.describe(tid, c)
	switch {
	case !described && !inSeccompStop(tid):
		return false // it was killed meanwhile
	case !described:
		_ = t.skip(tid, failure(unix.ENOSYS))
		return false
	case t.Tagged && t.filters(c):
		t.resume(unix.PTRACE_CONT, tid, 0)
		return false
	}
	t.calls++
	c.ID, c.Tid = t.calls, tid
	t.mu.Lock()
	defer t.mu.Unlock()
	task.call = c.ID
	return true
}

// resume lets a tracee go on. One that was killed meanwhile is ESRCH: its end comes.
func (t *Tracer) resume(how int, tid int32, sig unix.Signal) {
	if errno := sys.PtraceResume(how, tid, sig); errno != 0 && errno != unix.ESRCH {
		t.Log.Error("resume a tracee", "tid", tid, "error", errno)
	}
}

// spared tells of a SIGSTOP that the kernel would have dropped, had we not been here: to
// the init of a pid namespace, from inside it, where the sender has a number.
func (t *Tracer) spared(tid int32) bool {
	var info [128]byte
	if sys.PtraceGetSiginfo(tid, &info) != 0 {
		return false
	}
	record := amd64.DecodeSiginfo(info[:])
	return record.Pid() != 0 && t.Init != nil && t.Init(tid)
}

// Blocked implements shim.Backend. A tracee at a stop of ours can only be killed.
func (t *Tracer) Blocked(c *shim.Call) error {
	t.mu.Lock()
	task := t.of[c.Tid]
	waits := task != nil && task.call == c.ID
	t.mu.Unlock()
	if !waits || c.Slow && t.Ended(c.Tid) || !c.Slow && !inSeccompStop(c.Tid) {
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

package ptrace

import (
	"fmt"
	"log/slog"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/arch/abi"
	"github.com/pidfd-shim/pidfd-shim/internal/sys"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// runs has tracees go on, and make calls of ours in the place of their own.
type runs struct {
	log    *slog.Logger
	table  *table
	holds  *holds
	births births

	observe shim.Observer // Tracer.Observe

	sandbox Sandbox // as Tracer's
}

// rewritten is a call that the caller makes in another's place, or one that is looked at
// until it returns.
type rewritten struct {
	before arch.Regs
	own    bool       // the caller's own call: there is nothing to put back
	hold   shim.Hold  // on whom it names
	seen   *shim.Call // to be reported with its result; nil where nobody asks
	as     shim.Verdict
}

// resume lets a tracee go on. One that was killed meanwhile is ESRCH: its end comes.
func (r *runs) resume(how int, tid int32, sig unix.Signal) {
	if how == unix.PTRACE_CONT && r.sandbox.Entries {
		how = unix.PTRACE_SYSCALL
	}
	if errno := sys.PtraceResume(how, tid, sig); errno != 0 && errno != unix.ESRCH {
		r.log.Error("resume a tracee", "tid", tid, "error", errno)
	}
}

// goOn lets a tracee go on, to the end of the call that it makes if it makes one for us.
func (r *runs) goOn(task *member, sig unix.Signal) {
	how := unix.PTRACE_CONT
	if task.running {
		how = unix.PTRACE_SYSCALL
	}
	r.resume(how, task.tid, sig)
}

// skip ends a call without running it: number -1, and the result in its place.
func (r *runs) skip(tid int32, result uint64) error {
	for _, poke := range [2]struct {
		reg   int
		value uint64
	}{{arch.RegNumber, arch.NoCall}, {arch.RegResult, result}} {
		if errno := sys.PtracePokeReg(tid, poke.reg, poke.value); errno == unix.ESRCH {
			return shim.ErrGone
		} else if errno != 0 {
			return fmt.Errorf("ptrace(PTRACE_POKEUSR): %w", errno)
		}
	}
	r.resume(unix.PTRACE_CONT, tid, 0)
	return nil
}

// rewrite makes the caller run another call. Its registers are put back at the exit.
func (r *runs) rewrite(c *shim.Call, task *member, v shim.Verdict) error {
	call := v.Call
	r.table.runs(task, rewritten{hold: call.Hold, as: v})
	if errno := sys.PtraceGetRegs(c.Tid, &task.run.before); errno != 0 {
		r.returned(task)
		return shim.ErrGone
	}
	regs := task.run.before
	regs.SetNumber(call.Nr)
	regs.Place(abi.Of(c.ABI).ArgumentRegs, call.Args)
	if errno := sys.PtraceSetRegs(c.Tid, &regs); errno != 0 {
		r.returned(task)
		return shim.ErrGone
	}
	task.run.seen = seen(c)
	r.resume(unix.PTRACE_SYSCALL, c.Tid, 0)
	return nil
}

// syscallStop is the exit of a rewritten call: everything but its result is put back.
func (r *runs) syscallStop(task *member) {
	task.inside = r.sandbox.Entries && !task.inside
	switch {
	case task.steps != nil:
		r.stepped(task)
		return
	case task.inside:
		r.entered(task)
		return
	case task.carried != nil:
		r.lost(task)
		return
	}
	var after arch.Regs
	if task.running && sys.PtraceGetRegs(task.tid, &after) == 0 {
		task.run.putBack(task.tid, &after)
	}
	r.returned(task)
	r.resume(unix.PTRACE_CONT, task.tid, 0)
}

// returned is the end of what a tracee made in its call's place.
func (r *runs) returned(task *member) {
	if !task.running {
		return
	}
	r.table.ran(task)
	r.holds.release(task.run.hold)
	if seen := task.run.seen; seen != nil {
		task.run.seen = nil
		r.observe.After(seen, task.run.as, nil)
	}
}

// putBack puts the registers back, all but the result.
func (r *rewritten) putBack(tid int32, after *arch.Regs) {
	if r.seen != nil {
		r.seen.Record.Result = shim.ResultOf(after.Result())
	}
	if r.own {
		return
	}
	regs := r.before
	regs.Return(after)
	_ = sys.PtraceSetRegs(tid, &regs)
}

package ptrace

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	i386 "github.com/pidfd-shim/pidfd-shim/arch/386"
	"github.com/pidfd-shim/pidfd-shim/arch/amd64"
	"github.com/pidfd-shim/pidfd-shim/internal/sys"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// Answer implements shim.Backend.
func (t *Tracer) Answer(c *shim.Call, v shim.Verdict) error {
	if c.Slow {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.late = append(t.late, lateAnswer{*c, v})
		c.Report = nil
		return nil
	}
	return t.answer(c, v)
}

// answer first sees that the tracee is still in its call. One that is at its exit would be
// let run on from there otherwise, unseen.
func (t *Tracer) answer(c *shim.Call, v shim.Verdict) error {
	task := t.end(c)
	if task == nil || !inSeccompStop(c.Tid) {
		t.Release(v.Call.Hold)
		if v.Steps != nil {
			v.Steps.Gone()
		}
		return shim.ErrGone
	}
	switch v.Kind {
	case shim.KindReturn:
		return t.skip(c.Tid, uint64(v.Value))
	case shim.KindFail:
		return t.skip(c.Tid, failure(v.Errno))
	case shim.KindPass:
		if c.Report != nil {
			t.runs(task, rewritten{own: true, seen: seen(c), as: v})
		}
		t.goOn(c.Tid, task, 0)
		return nil
	case shim.KindRun:
		return t.rewrite(c, task, v)
	case shim.KindSteps:
		return t.begin(c, task, v)
	}
	_ = t.skip(c.Tid, failure(unix.ENOSYS))
	return fmt.Errorf("verdict %q cannot answer a traced call", v)
}

// end notes that a call has its answer; nil: it ended otherwise.
func (t *Tracer) end(c *shim.Call) *member {
	t.mu.Lock()
	defer t.mu.Unlock()
	task := t.of[c.Tid]
	if task == nil || task.call != c.ID {
		return nil
	}
	if task.slow {
		t.slow--
	}
	task.call, task.slow = 0, false
	return task
}

// failure is an errno as a register holds it.
func failure(errno unix.Errno) uint64 { return uint64(-int64(errno)) }

// skip ends a call without running it: number -1, and the result in its place.
func (t *Tracer) skip(tid int32, result uint64) error {
	for _, poke := range [2]struct {
		reg   int
		value uint64
	}{{arch.RegOrigRAX, ^uint64(0)}, {arch.RegRAX, result}} {
		if errno := sys.PtracePokeReg(tid, poke.reg, poke.value); errno == unix.ESRCH {
			return shim.ErrGone
		} else if errno != 0 {
			return fmt.Errorf("ptrace(PTRACE_POKEUSR): %w", errno)
		}
	}
	t.resume(unix.PTRACE_CONT, tid, 0)
	return nil
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

// rewrite makes the caller run another call. Its registers are put back at the exit.
func (t *Tracer) rewrite(c *shim.Call, task *member, v shim.Verdict) error {
	call := v.Call
	t.runs(task, rewritten{hold: call.Hold, as: v})
	if errno := sys.PtraceGetRegs(c.Tid, &task.run.before); errno != 0 {
		t.returned(task)
		return shim.ErrGone
	}
	regs := task.run.before
	regs[arch.RegOrigRAX] = call.Nr
	order := amd64.ArgumentRegs
	if c.ABI == arch.I386 {
		order = i386.ArgumentRegs
	}
	regs.Place(order, call.Args)
	if errno := sys.PtraceSetRegs(c.Tid, &regs); errno != 0 {
		t.returned(task)
		return shim.ErrGone
	}
	task.run.seen = seen(c)
	t.resume(unix.PTRACE_SYSCALL, c.Tid, 0)
	return nil
}

// syscallStop is the exit of a rewritten call: everything but its result is put back.
func (t *Tracer) syscallStop(tid int32, task *member) {
	if task.steps != nil {
		t.stepped(tid, task)
		return
	}
	var after arch.Regs
	if task.running && sys.PtraceGetRegs(tid, &after) == 0 {
		task.run.putBack(tid, &after)
	}
	t.returned(task)
	t.resume(unix.PTRACE_CONT, tid, 0)
}

// putBack puts the registers back, all but the result.
func (r *rewritten) putBack(tid int32, after *arch.Regs) {
	if r.seen != nil {
		r.seen.Record.Result = shim.ResultOf(after[arch.RegRAX])
	}
	if r.own {
		return
	}
	before := r.before
	before[arch.RegRAX] = after[arch.RegRAX]
	before[arch.RegOrigRAX] = after[arch.RegOrigRAX]
	before[arch.RegRIP] = after[arch.RegRIP]
	_ = sys.PtraceSetRegs(tid, &before)
}

// seen takes a call that is to be reported when its result is known.
func seen(c *shim.Call) *shim.Call {
	if c.Report == nil {
		return nil
	}
	own := *c
	c.Report = nil
	return &own
}

// Postponed implements shim.Postponer: the call's tracee stays stopped.
func (t *Tracer) Postponed(c *shim.Call) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if task := t.of[c.Tid]; task != nil && task.call == c.ID {
		task.slow = true
		t.slow++
	}
}

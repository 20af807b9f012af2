package ptrace

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	i386 "github.com/pidfd-shim/pidfd-shim/arch/386"
	"github.com/pidfd-shim/pidfd-shim/arch/amd64"
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

func (t *Tracer) answer(c *shim.Call, v shim.Verdict) error {
	switch v.Kind {
	case shim.KindReturn:
		return t.skip(c.Tid, uint64(v.Value))
	case shim.KindFail:
		return t.skip(c.Tid, failure(v.Errno))
	case shim.KindPass:
		if c.Report != nil {
			t.running[c.Tid] = rewritten{own: true, seen: seen(c), as: v}
		}
		t.resume(unix.PTRACE_CONT, c.Tid, 0)
		return nil
	case shim.KindRun:
		return t.rewrite(c, v)
	}
	_ = t.skip(c.Tid, failure(unix.ENOSYS))
	return fmt.Errorf("verdict %q cannot answer a traced call", v)
}

// failure is an errno as a register holds it.
func failure(errno unix.Errno) uint64 { return uint64(-int64(errno)) }

// skip ends a call without running it: number -1, and the result in its place.
func (t *Tracer) skip(tid int32, result uint64) error {
	const word = 8
	for _, poke := range [2]struct {
		reg   uintptr
		value uint64
	}{{arch.RegOrigRAX, ^uint64(0)}, {arch.RegRAX, result}} {
		if errno := request(unix.PTRACE_POKEUSR, tid, poke.reg*word, uintptr(poke.value)); errno == unix.ESRCH {
			return shim.ErrGone
		} else if errno != 0 {
			return fmt.Errorf("ptrace(PTRACE_POKEUSR): %w", errno)
		}
	}
	t.resume(unix.PTRACE_CONT, tid, 0)
	return nil
}

// rewrite makes the caller run another call. Its registers are put back at the exit.
func (t *Tracer) rewrite(c *shim.Call, v shim.Verdict) error {
	call := v.Call
	r := rewritten{done: c.Done, as: v}
	if errno := getRegs(c.Tid, &r.before); errno != 0 {
		r.finish()
		return shim.ErrGone
	}
	regs := r.before
	regs[arch.RegOrigRAX] = call.Nr
	order := amd64.ArgumentRegs
	if c.ABI == arch.I386 {
		order = i386.ArgumentRegs
	}
	regs.Place(order, call.Args)
	if errno := setRegs(c.Tid, &regs); errno != 0 {
		r.finish()
		return shim.ErrGone
	}
	r.seen = seen(c)
	t.running[c.Tid] = r
	t.resume(unix.PTRACE_SYSCALL, c.Tid, 0)
	return nil
}

// syscallStop is the exit of a rewritten call: everything but its result is put back.
func (t *Tracer) syscallStop(tid int32) {
	r, running := t.running[tid]
	if !running {
		t.resume(unix.PTRACE_CONT, tid, 0)
		return
	}
	delete(t.running, tid)
	var after arch.Regs
	if getRegs(tid, &after) == 0 {
		r.returned(tid, &after)
	}
	r.finish()
	t.resume(unix.PTRACE_CONT, tid, 0)
}

// finish is the end of the call, or of its caller.
func (r *rewritten) finish() {
	if r.done != nil {
		r.done()
	}
	if r.seen != nil {
		r.seen.Report(r.seen, r.as, nil)
	}
}

// returned puts the registers back, all but the result.
func (r *rewritten) returned(tid int32, after *arch.Regs) {
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
	_ = setRegs(tid, &before)
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
	t.slow[c.Tid] = true
}

// answerLate gives the slow lane's answers.
func (t *Tracer) answerLate() {
	t.mu.Lock()
	late := t.late
	t.late = nil
	for i := range late {
		delete(t.slow, late[i].call.Tid)
	}
	t.mu.Unlock()
	for i := range late {
		c := &late[i].call
		err := t.answer(c, late[i].verdict)
		if err != nil {
			t.Log.Debug("answer from the slow lane", "tid", c.Tid, "error", err)
		}
		if c.Report != nil {
			c.Report(c, late[i].verdict, err)
		}
	}
}

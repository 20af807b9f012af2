package ptrace

import (
	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/arch/abi"
	"github.com/pidfd-shim/pidfd-shim/internal/sys"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// steps is a program that a tracee runs: calls of ours, made by its own call instruction. Its
// registers are put back after the last. Signals wait meanwhile, because a handler would begin
// with our registers.
type steps struct {
	program  shim.Program
	abi      arch.ABI
	before   arch.Regs // at the stop in which it began
	begun    bool      // the call at whose stop that was has been used
	entering bool      // the next stop is at a call's entry
	opens    bool      // from where on signals do not wait
	mask     uint64    // the tracee's own
	closed   bool      // every signal is blocked
	awaits   bool      // the call that is made may have a child
	seen     *shim.Call
	as       shim.Verdict
}

// begin runs a program in a tracee that stands at a filter's stop.
func (r *runs) begin(c *shim.Call, task *member, v shim.Verdict) error {
	s := &steps{program: v.Steps, abi: c.ABI, as: v}
	if sys.PtraceGetRegs(c.Tid, &s.before) != 0 {
		v.Steps.Gone()
		return shim.ErrGone
	}
	s.seen = seen(c)
	r.run(task, s)
	return nil
}

func (r *runs) run(task *member, s *steps) {
	r.table.runs(task, rewritten{own: true})
	task.steps = s
	r.advance(task, 0)
}

// advance has the tracee make the program's next call, or ends it.
func (r *runs) advance(task *member, result int64) {
	s := task.steps
	step := s.program.Next(result)
	r.await(s, step.Forks)
	if step.Done {
		r.endSteps(task, step.Value)
		return
	}
	s.close(task.tid, !step.Waits || s.begun)
	regs := s.before
	regs.Place(abi.Of(s.abi).ArgumentRegs, step.Call.Args)
	regs.SetNumber(step.Call.Nr)
	if s.begun {
		regs.CallAgain(regs.IP(), step.Call.Nr)
		s.entering, s.opens = true, step.Waits // before its entry a handler would begin with our registers
	}
	s.begun = true
	_ = sys.PtraceSetRegs(task.tid, &regs) // one that was killed ends
	r.resume(unix.PTRACE_SYSCALL, task.tid, 0)
}

// close blocks every signal, or none but those that the tracee has blocked itself.
func (s *steps) close(tid int32, all bool) {
	switch {
	case all == s.closed:
	case all:
		var errno unix.Errno
		if s.mask, errno = sys.PtraceGetSigmask(tid); errno == 0 {
			s.closed = sys.PtraceSetSigmask(tid, ^uint64(0)) == 0
		}
	default:
		_ = sys.PtraceSetSigmask(tid, s.mask)
		s.closed = false
	}
}

// stepped is a stop at an entry or exit of a call that a program makes.
func (r *runs) stepped(task *member) {
	s := task.steps
	if s.entering {
		s.entering = false
		s.close(task.tid, !s.opens)
		r.resume(unix.PTRACE_SYSCALL, task.tid, 0)
		return
	}
	var after arch.Regs
	if sys.PtraceGetRegs(task.tid, &after) == 0 { // else it was killed, and its end comes
		r.advance(task, int64(after.Result()))
	}
}

// endSteps puts the tracee's registers back, with the result. One that says that the call is to
// be made again means the tracee's own.
func (r *runs) endSteps(task *member, value int64) {
	s := task.steps
	s.close(task.tid, false)
	regs := s.before
	regs.SetResult(uint64(value))
	switch {
	case int32(value) == -sys.ERESTARTNOINTR: // the kernel would where a signal is pending, which another thread may have taken by now
		regs.CallAgain(regs.IP(), regs.Number())
	case !sys.IsRestart(uint64(value)):
		regs.SetNumber(arch.NoCall)
	}
	_ = sys.PtraceSetRegs(task.tid, &regs)
	if s.seen != nil && !sys.IsRestart(uint64(value)) {
		s.seen.Record.Result = shim.ResultOf(uint64(value))
	}
	task.steps = nil
	r.finished(task, s)
	r.resume(unix.PTRACE_CONT, task.tid, 0)
}

// abandon is the end of a tracee in the middle of a program.
func (r *runs) abandon(task *member) {
	s := task.steps
	if s == nil {
		return
	}
	task.steps = nil
	r.await(s, false)
	s.program.Gone()
	r.finished(task, s)
}

func (r *runs) finished(task *member, s *steps) {
	r.returned(task)
	if s.seen != nil {
		r.observe.After(s.seen, s.as, nil)
	}
}

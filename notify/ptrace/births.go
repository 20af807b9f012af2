package ptrace

import (
	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/internal/sys"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// births are the children of programs that want to know them. Who a new tracee is, its parent's
// stop says, which comes before its own first one or after: until then it waits, where it might
// be such a child.
type births struct {
	awaited  int                // calls that may have one
	parked   map[int32]struct{} // whose parents have not said so yet
	expected map[int32]birth    // whose parents have
}

// birth is a child's first call: to close what its parent alone is to have.
type birth struct {
	abi    arch.ABI
	closes int32 // -1: nothing
}

func newBirths() births {
	return births{parked: map[int32]struct{}{}, expected: map[int32]birth{}}
}

// count keeps count of the calls that may have a child of whom a program wants to know. With the
// last of them those go who wait.
func (b *births) count(s *steps, awaits bool) (free []int32) {
	switch {
	case awaits && !s.awaits:
		b.awaited++
	case !awaits && s.awaits:
		b.awaited--
	}
	s.awaits = awaits
	if b.awaited > 0 {
		return nil
	}
	for tid := range b.parked {
		delete(b.parked, tid)
		free = append(free, tid)
	}
	return free
}

// forget drops who is no tracee any more.
func (b *births) forget(tid int32) {
	delete(b.parked, tid)
	delete(b.expected, tid)
}

func (r *runs) await(s *steps, awaits bool) {
	for _, tid := range r.births.count(s, awaits) {
		r.goOn(r.table.see(tid), 0)
	}
}

// forked is a tracee's stop for a child of its own.
func (r *runs) forked(task *member, child int32) {
	if r.births.awaited == 0 {
		return
	}
	b, s := birth{closes: -1}, task.steps
	if s != nil && s.awaits {
		b = birth{s.abi, s.program.Forked(child)}
	}
	if _, parked := r.births.parked[child]; parked {
		delete(r.births.parked, child)
		r.born(r.table.see(child), b)
	} else {
		r.births.expected[child] = b
	}
	if s != nil {
		r.await(s, false)
	}
}

// first handles a tracee's first stop. False: it goes on as from any other.
func (r *runs) first(task *member) bool {
	if task.started {
		return false
	}
	task.started = true
	b, known := r.births.expected[task.tid]
	delete(r.births.expected, task.tid)
	switch {
	case known && b.closes >= 0:
		r.born(task, b)
	case !known && r.births.awaited > 0:
		r.births.parked[task.tid] = struct{}{}
	default:
		return false
	}
	return true
}

// born lets a new tracee go.
func (r *runs) born(task *member, b birth) {
	s := &steps{abi: b.abi, begun: true, program: &closing{fd: b.closes, nr: shim.NumberOf(arch.Close, b.abi)}}
	if b.closes < 0 || sys.PtraceGetRegs(task.tid, &s.before) != 0 {
		r.goOn(task, 0)
		return
	}
	r.run(task, s)
}

// closing is the program that closes one descriptor, in a child that returns from fork: 0.
type closing struct {
	fd   int32
	nr   uint64
	done bool
}

// Next implements shim.Program.
func (p *closing) Next(int64) shim.Step {
	if p.done {
		return shim.End(0)
	}
	p.done = true
	return shim.Step{Call: shim.Rewrite{Nr: p.nr, Args: [6]uint64{uint64(p.fd)}}}
}

// Forked implements shim.Program.
func (p *closing) Forked(int32) int32 { return -1 }

// Gone implements shim.Program.
func (p *closing) Gone() {}

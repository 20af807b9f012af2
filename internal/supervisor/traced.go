package supervisor

import (
	"errors"
	"fmt"
	"runtime"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/internal/family"
	"github.com/pidfd-shim/pidfd-shim/internal/kernel"
	"github.com/pidfd-shim/pidfd-shim/internal/proc"
	"github.com/pidfd-shim/pidfd-shim/notify"
	"github.com/pidfd-shim/pidfd-shim/notify/ptrace"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// LaunchTraced starts the command under the filter of the ptrace backend.
func (s *Session) LaunchTraced(l *ptrace.Launcher) (int, error) {
	if err := checkTraceOrder(s.Features); err != nil {
		return 0, err
	}
	if tracer, err := s.TracerOf(s.self.Pid); err == nil && tracer != 0 {
		return 0, fmt.Errorf("--backend ptrace: process %d traces us already, and so whatever we start (a debugger, strace -f, an outer run): run pidfd-shim outside of it", tracer)
	}
	if err := s.Plan.CheckReach(); err != nil {
		return 0, err
	}
	program, err := notify.Compile(s.filter())
	if err != nil {
		return 0, err
	}
	l.Install = func() (int, error) { return notify.InstallTrace(program, s.Features.Notify) }
	runtime.GOMAXPROCS(min(runtime.GOMAXPROCS(0), 2)) // the tracer serves; each takes threads
	return l.Launch()
}

// checkTraceOrder refuses kernels on which a rewritten call would not be the one that runs.
// Where it cannot be told, the start of COMMAND says what is wrong.
func checkTraceOrder(f kernel.Features) error {
	if f.OldTraceOrder || errors.Is(kernel.TraceOrder(), errors.ErrUnsupported) {
		return errors.New("--backend ptrace: " + OldTraceOrder)
	}
	return nil
}

// blame says why a run cannot start: what is missing first where more is missing. A
// kernel that is not Linux (gVisor) fails by its /proc before it is asked for its order.
func (p Plan) blame(f kernel.Features, err error) error {
	if p.Backend == BackendPtrace {
		if order := checkTraceOrder(f); order != nil {
			return order
		}
	}
	return err
}

// OldTraceOrder is why the ptrace backend cannot be had on some kernels.
const OldTraceOrder = "this kernel filters a call before its entry stop (Linux before 4.8, gVisor), so that a tracer cannot answer it: nothing here can"

// ServeTraced is the tracer process: it seizes the command, says so, and answers calls
// until the last tracee has ended.
func (s *Session) ServeTraced(pid int32, seized func(error)) error {
	s.tracer = ptrace.New(pid, seized, s.Log)
	s.tracer.Init, s.tracer.Ended, s.tracer.Tagged = s.isInit, s.hasEnded, s.Features.NoSyscallInfo
	s.tracer.Threads, s.tracer.Observe = s.threadsOf, s.Observer
	if err := s.passSandbox(); err != nil {
		return err
	}
	s.backend = s.tracer
	var err error
	if s.Plan.Family {
		if s.family, err = family.New(s.Proc, s.self.Pidns, s.tracer.Traces); err != nil {
			return fmt.Errorf("keep process descriptors: %w", err)
		}
		s.tracer.Ends = s.family
		if s.family.Opens, err = notify.Compile(s.opens()); err != nil {
			return err
		}
	}
	if s.Pool, err = shim.NewPool(tracerThreads()); err != nil {
		return err
	}
	return s.Serve()
}

// carries tells whether calls come to the tracer by way of another.
func (p Plan) carries() bool { return p.Backend == BackendPtrace && (p.Entries || p.Traps) }

// passSandbox has the tracer look for calls that a filter around us answers before ours is asked.
func (s *Session) passSandbox() error {
	if !s.Plan.carries() {
		return nil
	}
	program, err := notify.Compile(s.filter())
	s.tracer.Sandbox = ptrace.Sandbox{
		Entries: s.Plan.Entries, Traps: s.Plan.Traps, Enosys: s.Plan.Enosys,
		Filter: func(f arch.Frame) uint32 { return notify.Evaluate(program, f) },
	}
	return err
}

// carrier is how our filter knows a call that stands for another.
var carrier = notify.Rule{
	Syscall: ptrace.Carrier,
	When:    []notify.Cond{{Arg: 0, In: []notify.Range{{Low: ptrace.CarrierMark, High: ptrace.CarrierMark}}}},
}

// passUnseen is for a program's own call that looks like the carrier.
func passUnseen(c *shim.Call) shim.Verdict {
	c.Record.Quiet = true
	return shim.Pass()
}

// tagged tells whether a tracer learns the ABI from the filter alone. It starts a
// process to find out: only for a filter that depends on it.
func (s *Session) tagged() bool {
	return s.Plan.Backend == BackendPtrace &&
		(s.Features.NoSyscallInfo || errors.Is(kernel.GetSyscallInfo(), errors.ErrUnsupported))
}

// isInit tells whether a task is the init of a pid namespace below ours.
func (s *Session) isInit(tid int32) bool {
	dir, err := s.Proc.Dir(tid)
	if err != nil {
		return false
	}
	defer dir.Close()
	var status proc.Status
	return dir.Status(&status) == nil && status.NSpids > 1 && status.NSpid[status.NSpids-1] == 1
}

// hasEnded tells whether a task has ended, reaped or not.
func (s *Session) hasEnded(tid int32) bool {
	dir, err := s.Proc.Dir(tid)
	if err != nil {
		return true
	}
	defer dir.Close()
	var stat proc.Stat
	return dir.Stat(&stat) != nil || stat.State == 'Z' || stat.State == 'X'
}

// threadsOf lists the threads of a process, as far as they can be told.
func (s *Session) threadsOf(pid int32) (tids []int32) {
	_ = s.Proc.EachThread(pid, func(tid int32) bool {
		tids = append(tids, tid)
		return true
	})
	return tids
}

// statOf is empty where it cannot be told.
func (s *Session) statOf(pid int32) (stat proc.Stat) {
	dir, err := s.Proc.Dir(pid)
	if err != nil {
		return stat
	}
	defer dir.Close()
	if dir.Stat(&stat) != nil {
		return proc.Stat{}
	}
	return stat
}

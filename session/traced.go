package session

import (
	"errors"

	"github.com/pidfd-shim/pidfd-shim/kernel"
	"github.com/pidfd-shim/pidfd-shim/notify"
	"github.com/pidfd-shim/pidfd-shim/notify/ptrace"
	"github.com/pidfd-shim/pidfd-shim/proc"
)

// LaunchTraced starts the command under the filter of the ptrace backend.
func (s *Session) LaunchTraced(l *ptrace.Launcher) (int, error) {
	program, err := notify.Compile(s.filter())
	if err != nil {
		return 0, err
	}
	l.Install = func() error { return notify.InstallTrace(program, s.Features.Notify) }
	return l.Launch()
}

// ServeTraced is the tracer process: it seizes the command, says so, and answers calls
// until the last tracee has ended.
func (s *Session) ServeTraced(pid int32, seized func(error)) error {
	s.tracer = ptrace.New(pid, seized, s.Log)
	s.tracer.Init, s.tracer.Tagged = s.isInit, s.Features.NoSyscallInfo
	s.tracer.Pinned = s.held.Stopped
	s.backend = s.tracer
	return s.Serve()
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

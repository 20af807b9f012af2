package supervisor

import (
	"errors"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/emulate"
	"github.com/pidfd-shim/pidfd-shim/internal/helper"
	"github.com/pidfd-shim/pidfd-shim/internal/proc"
	"github.com/pidfd-shim/pidfd-shim/internal/tracee"
	"github.com/pidfd-shim/pidfd-shim/notify/ptrace"
)

// newReaders are the helper processes that read memory for all workers, those of attached
// sessions too: one for each worker of hundreds of listeners would need more memory than
// everything else, and one of a worker that was replaced would be left behind.
func (s *Session) newReaders() *helper.Pool[*helper.Helper] {
	return &helper.Pool[*helper.Helper]{Limit: runtime.GOMAXPROCS(0) + 1, New: func() *helper.Helper {
		h := s.helper(RoleReader)
		return &h
	}}
}

// newHoppers are the threads of the process that traces callers for attached sessions. A
// listener outlives its agent, so its callers are to do so, too. A command under run gets
// ENOSYS when its supervisor has died: there one process less is worth more.
func (s *Session) newHoppers() *ptrace.Hoppers {
	return ptrace.NewHoppers(func(socket *os.File) (*os.Process, error) {
		return s.Helper(RoleHopper, socket)
	}, s.helpers)
}

// newHopper makes one worker's.
func (s *Session) newHopper() emulate.Hopper {
	if !s.attached {
		return &ptrace.Hopper{Set: &tracee.Set{Held: s.held}, Pins: s.pins, Between: s.Between}
	}
	return &ptrace.Remote{Hoppers: s.hoppers, Listener: s.listener.File(), Log: s.Log}
}

// TracerOf tells who traces a thread: 0 for nobody, or where it has ended.
func (s *Session) TracerOf(tid int32) (pid int32, err error) {
	dir, err := s.Proc.Dir(tid)
	if err == nil {
		defer dir.Close()
		var status proc.Status
		err = dir.Status(&status)
		pid = status.TracerPid
	}
	if errors.Is(err, unix.ENOENT) || errors.Is(err, unix.ESRCH) {
		return 0, nil
	}
	return pid, err
}

package supervisor

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/kernel"
)

// Reach makes a real call under a filter of ours, in a child, and says what comes of it.
func Reach(backend string, nr uint32) (kernel.Outcome, error) {
	if backend == BackendPtrace {
		return kernel.ReachTraced(nr)
	}
	return kernel.ReachNotified(nr)
}

// CheckReach refuses to run where a filter around us answers the call first: nothing of what
// is promised about it could be held. What cannot be told is left to the start to find out.
// Without a filter around us, the ordinary case, nobody is asked.
func CheckReach(backend string) error {
	if !kernel.Filtered() {
		return nil
	}
	outcome, err := Reach(backend, unix.SYS_PIDFD_SEND_SIGNAL)
	switch {
	case err != nil, outcome.Reach == kernel.ReachesUs:
		return nil
	case outcome.Reach == kernel.Untraceable:
		return fmt.Errorf("--backend %s: start a child that we trace: %w: a seccomp filter around us, or Yama, forbids ptrace: use --backend notify", backend, outcome.Errno)
	}
	return fmt.Errorf("--backend %s: a seccomp filter around us comes first (pidfd_send_signal: %v), so no call would reach the shim: "+
		"run pidfd-shim outside of that sandbox, or have its profile allow system call %d", backend, outcome, unix.SYS_PIDFD_SEND_SIGNAL)
}

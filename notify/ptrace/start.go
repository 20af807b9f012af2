package ptrace

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/sys"
	"github.com/pidfd-shim/pidfd-shim/internal/tracee"
)

// options are set at PTRACE_SEIZE: every new task of the tree is seized like its
// parent, and none outlives the tracer (EXITKILL): without it their calls would get
// ENOSYS, but a task stopped at the time would stay so for ever. All stop at their exit.
const options = unix.PTRACE_O_TRACESECCOMP | unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_EXITKILL |
	unix.PTRACE_O_TRACEFORK | unix.PTRACE_O_TRACEVFORK | unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEEXEC | unix.PTRACE_O_TRACEEXIT

// starting is COMMAND until it runs.
type starting struct {
	command    int32
	seized     func(error) // nil once told
	continuing bool        // the SIGCONT that starts COMMAND is still to come
	blocked    uint64      // COMMAND's signal mask, to be set when it has come
}

// seize takes COMMAND and waits for the stop that it is in.
func (s *starting) seize() error {
	if errno := sys.PtraceSeize(s.command, options); errno != 0 {
		return fmt.Errorf("trace process %d: %w: is it traced already, or does Yama forbid it (/proc/sys/kernel/yama/ptrace_scope)?", s.command, errno)
	}
	for {
		var status unix.WaitStatus
		_, err := unix.Wait4(int(s.command), &status, unix.WALL, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return os.NewSyscallError("wait4", err)
		}
		if event, _ := tracee.Classify(status); event != tracee.EventGroupStop {
			return fmt.Errorf("trace process %d: it was not stopped (status %#x)", s.command, uint32(status))
		}
		return s.expectCont()
	}
}

// expectCont makes COMMAND ready for the SIGCONT that starts it: a COMMAND that was
// born with SIGCONT blocked would otherwise find ours pending.
func (s *starting) expectCont() error {
	mask, errno := sys.PtraceGetSigmask(s.command)
	if errno == 0 {
		errno = sys.PtraceSetSigmask(s.command, mask&^(1<<(unix.SIGCONT-1)))
	}
	if errno != 0 {
		return fmt.Errorf("trace process %d: its signal mask: %w", s.command, errno)
	}
	s.blocked, s.continuing = mask, true
	return nil
}

// isOurs tells of the SIGCONT that starts COMMAND, which is not to see it.
func (s *starting) isOurs(tid int32, sig unix.Signal) bool {
	if sig != unix.SIGCONT || !s.continuing || tid != s.command {
		return false
	}
	s.continuing = false
	_ = sys.PtraceSetSigmask(tid, s.blocked)
	return true
}

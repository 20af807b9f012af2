package ptrace

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/kernel"
	"github.com/pidfd-shim/pidfd-shim/internal/sys"
)

// Fork starts COMMAND from the calling thread with the given attributes. With Ptrace
// set, the child has every signal blocked but SIGTRAP. stay returns when the thread may
// end.
type Fork func(attr *syscall.SysProcAttr) (pid int, stay func(), err error)

// Launcher starts COMMAND for a tracer.
type Launcher struct {
	// Install puts the filter on the calling thread and takes the listener slot, if there
	// is one: a descriptor, else -1.
	Install func() (slot int, err error)
	Fork    Fork
	Blocked uint64 // COMMAND's signal mask: signal n is bit n-1

	// Seize hands COMMAND to the tracer while it is stopped before its first instruction,
	// and returns when the tracer has it. The tracer is to hold the slot, too.
	Seize func(pid, slot int) error
}

// Launch starts COMMAND under the filter and hands it over. It runs on a thread of its
// own, COMMAND's parent, that lives as long as COMMAND does.
//
// PTRACE_TRACEME makes exec stop, but its tracer would have to stay that thread and
// could not tell group stops apart. So the thread lets go at that stop with a SIGSTOP,
// which stops COMMAND again before it has run anything, for the real tracer to seize.
//
// Exec's stop is a SIGTRAP, which a blocked one would put off past it, and any other
// signal would stop the child before exec, for which Fork waits: hence Fork's mask.
//
// Where the kernel has listeners Install takes the slot, and supervisor and tracer keep it:
// nobody inside can have one then, whose answer would outrank our trace, as long as there
// is a tracer; and nobody outlives that.
func (l *Launcher) Launch() (int, error) {
	type result struct {
		pid int
		err error
	}
	results := make(chan result)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		pid, stay, err := l.launch()
		results <- result{pid, err}
		if err == nil {
			stay()
		}
	}()
	r := <-results
	if r.err == nil {
		r.err = begin(r.pid)
	}
	if r.err != nil && r.pid > 0 {
		_ = send(r.pid, unix.SIGKILL)
	}
	return r.pid, r.err
}

func (l *Launcher) launch() (int, func(), error) {
	slot, err := l.Install()
	if err != nil {
		return 0, nil, err
	}
	pid, stay, err := l.Fork(&syscall.SysProcAttr{Ptrace: true})
	if err != nil {
		return 0, nil, err
	}
	return pid, stay, l.hand(pid, slot)
}

func (l *Launcher) hand(pid, slot int) error {
	if err := waitFor(pid, 0, unix.WaitStatus.Stopped); err != nil {
		return err
	}
	if errno := sys.PtraceSetSigmask(int32(pid), l.Blocked); errno != 0 {
		return os.NewSyscallError("ptrace(PTRACE_SETSIGMASK)", errno)
	}
	if errno := sys.PtraceDetach(int32(pid), unix.SIGSTOP); errno != 0 {
		return os.NewSyscallError("ptrace(PTRACE_DETACH)", errno)
	}
	if err := waitFor(pid, unix.WUNTRACED, unix.WaitStatus.Stopped); err != nil {
		return err
	}
	return l.Seize(pid, slot)
}

// send also serves where a filter around us refuses kill: either signal is for the whole
// process, whichever thread is named.
func send(pid int, sig unix.Signal) error {
	if unix.Kill(pid, sig) == nil { //nolint:forbidigo // our child, not reaped
		return nil
	}
	return unix.Tgkill(pid, pid, sig)
}

// begin lets COMMAND run. Not on the thread that launched it, whose filter may have kill
// too, and is not answered.
func begin(pid int) error {
	if err := send(pid, unix.SIGCONT); err != nil {
		return os.NewSyscallError("kill", err)
	}
	// That it was continued is ours to know. It is noted within kill, and COMMAND may have
	// ended by now, which is for others to see.
	_ = unix.Waitid(unix.P_PID, pid, nil, unix.WCONTINUED|unix.WNOHANG, nil)
	return nil
}

// waitFor takes the next status of our child, which must be the one meant.
func waitFor(pid, options int, meant func(unix.WaitStatus) bool) error {
	var status unix.WaitStatus
	for {
		_, err := unix.Wait4(pid, &status, options|kernel.OwnWait, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return os.NewSyscallError("wait4", err)
		}
		if !meant(status) {
			return fmt.Errorf("start of process %d: unexpected status %#x", pid, uint32(status))
		}
		return nil
	}
}

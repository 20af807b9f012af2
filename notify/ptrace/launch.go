package ptrace

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// Fork starts COMMAND from the calling thread with the given attributes.
type Fork func(attr *syscall.SysProcAttr) (pid int, err error)

// Launch starts COMMAND under the filter that install puts on the calling thread, and
// hands it, stopped before its first instruction, to seize. All of it is on a thread of
// its own that then ends.
//
// PTRACE_TRACEME makes exec stop, but its tracer would have to stay that thread and
// could not tell group stops apart. So the thread lets go at that stop with a SIGSTOP,
// which stops COMMAND again before it has run anything, for the real tracer to seize.
//
// Where the kernel has listeners install takes one and keeps it: with the slot taken
// nobody inside can have one, whose answer would outrank our trace.
func Launch(install func() error, fork Fork, seize func(pid int) error) (int, error) {
	type result struct {
		pid int
		err error
	}
	results := make(chan result)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		pid, err := launch(install, fork, seize)
		results <- result{pid, err}
	}()
	r := <-results
	return r.pid, r.err
}

func launch(install func() error, fork Fork, seize func(pid int) error) (int, error) {
	if err := install(); err != nil {
		return 0, err
	}
	pid, err := fork(&syscall.SysProcAttr{Ptrace: true})
	if err != nil {
		return 0, err
	}
	err = hand(pid, seize)
	if err != nil {
		_ = unix.Kill(pid, unix.SIGKILL) //nolint:forbidigo // our child, not reaped
	}
	return pid, err
}

func hand(pid int, seize func(pid int) error) error {
	if err := waitFor(pid, 0, unix.WaitStatus.Stopped); err != nil {
		return err
	}
	if errno := request(unix.PTRACE_DETACH, int32(pid), 0, uintptr(unix.SIGSTOP)); errno != 0 {
		return os.NewSyscallError("ptrace(PTRACE_DETACH)", errno)
	}
	if err := waitFor(pid, unix.WUNTRACED, unix.WaitStatus.Stopped); err != nil {
		return err
	}
	if err := seize(pid); err != nil {
		return err
	}
	if err := unix.Kill(pid, unix.SIGCONT); err != nil { //nolint:forbidigo // our child, not reaped
		return os.NewSyscallError("kill", err)
	}
	return waitFor(pid, unix.WCONTINUED, unix.WaitStatus.Continued)
}

// waitFor takes the next status of our child, which must be the one meant.
func waitFor(pid, options int, meant func(unix.WaitStatus) bool) error {
	var status unix.WaitStatus
	for {
		_, err := unix.Wait4(pid, &status, options, nil)
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

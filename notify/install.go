package notify

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/sys"
)

// Launch installs the filter on a thread of its own, which then starts the command,
// and ends when that has ended. The listener is thereby born in the supervisor: nothing is re-executed,
// no descriptor is passed, and the only tasks that ever were under the filter are
// that thread and the command's tree.
//
// The thread must end because it counts as a user of the filter: while it lives the
// listener does not hang up. The process's main thread cannot end, so the main
// goroutine has to be locked to it. Precondition: it is.
//
// start runs on the filtered thread and must use syscall.ForkExec: os/exec makes a
// pidfd_send_signal of its own, for which the supervisor would wait for itself. What
// start returns beside the pid, if not nil, is called there until the thread may end.
func Launch(program []unix.SockFilter, killable bool, start func() (int, func(), error)) (*Listener, int, error) {
	type result struct {
		listener *Listener
		pid      int
		err      error
	}
	results := make(chan result)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		var r result
		var stay func()
		if unix.Gettid() == unix.Getpid() {
			r.err = errors.New("install filter: on the main thread, which cannot end")
		} else {
			r.listener, r.err = install(program, killable)
		}
		if r.err == nil {
			r.pid, stay, r.err = start()
		}
		results <- r
		if r.err == nil && stay != nil {
			stay()
		}
	}()
	r := <-results
	if r.err != nil && r.listener != nil {
		_ = r.listener.Close()
		r.listener = nil
	}
	return r.listener, r.pid, r.err
}

// InstallTrace puts the program of the ptrace backend on the calling thread. With
// listeners it takes the listener slot, which stays taken as long as somebody has the
// descriptor; without there is none: -1.
func InstallTrace(program []unix.SockFilter, listeners bool) (slot int, err error) {
	if !listeners {
		_, err := setFilter(0, program)
		return -1, err
	}
	return setFilter(unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, program)
}

// install puts the program on the calling thread, with a listener.
func install(program []unix.SockFilter, killable bool) (*Listener, error) {
	file, err := InstallForAnother(program, killable)
	if err != nil {
		return nil, err
	}
	return newListener(file)
}

// setFilter sets no_new_privs only where the kernel asks for it, because it would take
// set-uid programs away from the command.
func setFilter(flags uint, program []unix.SockFilter) (int, error) {
	fd, errno := sys.SeccompSetModeFilter(flags, program)
	if errno == unix.EACCES {
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return -1, fmt.Errorf("set no_new_privs: %w", err)
		}
		fd, errno = sys.SeccompSetModeFilter(flags, program)
	}
	switch errno {
	case 0:
		return fd, nil
	case unix.EBUSY:
		return -1, fmt.Errorf("install filter: %w: this process is already under a seccomp listener (a nested run, or a container runtime's): run pidfd-shim outside of it, or serve that runtime with `pidfd-shim serve`", errno)
	}
	return -1, fmt.Errorf("install filter: %w", errno)
}

// InstallForAnother puts the program on the calling thread, which is about to execute a
// command, and returns the listener for somebody else to serve. The caller closes it.
func InstallForAnother(program []unix.SockFilter, killable bool) (*os.File, error) {
	flags := uint(unix.SECCOMP_FILTER_FLAG_NEW_LISTENER)
	if killable {
		flags |= unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
	}
	fd, err := setFilter(flags, program)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "seccomp listener"), nil
}

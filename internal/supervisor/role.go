package supervisor

import (
	"errors"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/emulate"
	"github.com/pidfd-shim/pidfd-shim/notify"
	"github.com/pidfd-shim/pidfd-shim/notify/ptrace"
)

// The roles of helper processes: what Session.Helper is asked for, and what the process that
// it starts hands to ServeRole.
const (
	RoleReader = "__reader"
	RoleHopper = "__hopper"
)

// ServeRole does a helper's work until its supervisor hangs up.
func ServeRole(role string, socket *os.File) error {
	switch role {
	case RoleReader:
		return ServeReads(socket)
	case RoleHopper:
		return ServeHops(socket, nil)
	}
	return errors.New("no helper is called " + role)
}

// ServeReads ends with its supervisor, also in the middle of a read that never does: that
// only the end of the whole process breaks.
func ServeReads(socket *os.File) error {
	fds := []unix.PollFd{{Fd: int32(socket.Fd()), Events: unix.POLLRDHUP}}
	go func() {
		for {
			if n, err := unix.Poll(fds, -1); n > 0 || err != unix.EINTR {
				os.Exit(0)
			}
		}
	}()
	return emulate.ServeReads(socket)
}

// ServeHops is the process that has callers run other calls for an agent. It is not ended by
// what ends the agent, whose end it finds out by itself: a caller may need it to the end.
// between, if not nil, is told of each step.
func ServeHops(socket *os.File, between func(ptrace.Step)) error {
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	runtime.GOMAXPROCS(ptrace.AtOnce()) // they sleep in the kernel, and whoever wakes has one ready
	hops := &ptrace.Hops{Answer: notify.CallAgain, Between: between}
	return hops.Serve(socket)
}

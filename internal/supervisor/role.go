package supervisor

import (
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/emulate"
	"github.com/pidfd-shim/pidfd-shim/internal/inject"
	"github.com/pidfd-shim/pidfd-shim/internal/role"
	"github.com/pidfd-shim/pidfd-shim/notify"
)

// Helpers are the roles of the processes that Base.Helper starts. settle, if not nil, comes
// first; between, if not nil, is told of each step of a hop.
func Helpers(settle func() error, between func(args []string) func(inject.Step)) role.Table {
	helper := func(serve func(args []string, socket *os.File) error) func([]string) error {
		return func(args []string) error {
			socket := role.Settle()
			if settle != nil {
				_ = settle()
			}
			return serve(args, socket)
		}
	}
	return role.Table{
		role.Reader: helper(func(_ []string, socket *os.File) error { return serveReads(socket) }),
		role.Hopper: helper(func(args []string, socket *os.File) error {
			if between == nil {
				return serveHops(socket, nil)
			}
			return serveHops(socket, between(args))
		}),
	}
}

// serveReads ends with its supervisor, also in the middle of a read that never does: that
// only the end of the whole process breaks.
func serveReads(socket *os.File) error {
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

// serveHops is the process that has callers run other calls for an agent. It is not ended by
// what ends the agent, whose end it finds out by itself: a caller may need it to the end.
func serveHops(socket *os.File, between func(inject.Step)) error {
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	runtime.GOMAXPROCS(inject.AtOnce()) // they sleep in the kernel, and whoever wakes has one ready
	hops := &inject.Server{Answer: notify.CallAgain, Between: between}
	return hops.Serve(socket)
}

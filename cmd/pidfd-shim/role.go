package main

import (
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/front"
	"github.com/pidfd-shim/pidfd-shim/internal/supervisor"
)

// init locks the main goroutine to the main thread, before anything can take it off:
// the thread that installs the filter has to end, which the main thread cannot.
func init() { runtime.LockOSThread() }

// The roles in which this program starts itself: first arguments that no user types.
const (
	roleReader = supervisor.RoleReader
	roleTracer = "__tracer"
	roleHopper = supervisor.RoleHopper
)

// helperSocket is the helper's end of its socket pair.
const helperSocket = 3

// inRole does a role's work, and false if the arguments are a user's.
func inRole(args []string) (status int, mine bool) {
	if len(args) == 0 {
		return 0, false
	}
	switch args[0] {
	case front.SupervisorCommand:
		return front.Supervise(args[1:], openSupervisor), true
	case front.InitCommand:
		return front.Init(), true
	case roleReader:
		return help(supervisor.ServeReads), true
	case roleHopper:
		return help(serveHops(args[1:])), true
	case roleTracer:
		return trace(args[1:]), true
	}
	return 0, false
}

func help(serve func(*os.File) error) int {
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	_ = front.Deafen()
	if err := serve(os.NewFile(helperSocket, "supervisor")); err != nil {
		return statusFailed
	}
	return 0
}

// startHelper starts this program in a role, with nothing but the socket.
func startHelper(role string, socket *os.File) (*os.Process, error) {
	var words []string
	if role == roleHopper {
		words = hopperWords()
	}
	return startRole(role, words, 0, nil, socket)
}

// startRole starts this program in a role, in a group of its own: where there is no job
// control the supervisor is still in COMMAND's. Its descriptors are stderr as given (nil:
// none) and from 3 on those of files that are not nil. death is the signal that it gets when
// the calling thread ends, 0 for none.
func startRole(role string, words []string, death syscall.Signal, stderr *os.File, files ...*os.File) (*os.Process, error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	if stderr == nil {
		stderr = null
	}
	descriptors := []*os.File{null, null, stderr}
	for _, file := range files {
		if file != nil {
			descriptors = append(descriptors, file)
		}
	}
	return os.StartProcess(ownProgram(), append([]string{"pidfd-shim", role}, words...), &os.ProcAttr{
		Env: []string{}, Files: descriptors, Sys: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: death},
	})
}

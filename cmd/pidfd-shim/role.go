package main

import (
	"maps"
	"os"
	"runtime"

	"github.com/pidfd-shim/pidfd-shim/internal/front"
	"github.com/pidfd-shim/pidfd-shim/internal/role"
	"github.com/pidfd-shim/pidfd-shim/internal/supervisor"
)

// init locks the main goroutine to the main thread, before anything can take it off:
// the thread that installs the filter has to end, which the main thread cannot.
func init() { runtime.LockOSThread() }

// roles are those in which this program starts itself.
func roles() role.Table {
	status := func(serve func(args []string) int) func([]string) error {
		return func(args []string) error { return role.Ended(serve(args)) }
	}
	all := role.Table{
		role.Supervisor: status(func(args []string) int {
			collectLater()
			return front.Supervise(args, openSupervisor)
		}),
		role.Init: status(func([]string) int { return front.Init() }),
		role.Tracer: func(args []string) error {
			collectLater()
			return trace(args)
		},
	}
	maps.Copy(all, supervisor.Helpers(front.Deafen, pauses))
	return all
}

// startHelper starts this program in a role, with nothing but the socket.
func startHelper(name role.Name, socket *os.File) (*os.Process, error) {
	var words []string
	if name == role.Hopper {
		words = hopperWords()
	}
	return role.Start{Program: role.Unreadable(), Name: name, Words: words, Files: []*os.File{socket}}.Process()
}

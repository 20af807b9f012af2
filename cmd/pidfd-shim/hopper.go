package main

import (
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/pidfd-shim/pidfd-shim/notify"
	"github.com/pidfd-shim/pidfd-shim/notify/ptrace"
)

// serveHops is the process that has callers run other calls for serve. It is not ended by
// what ends the agent, whose end it finds out by itself: a caller may need it to the end.
func serveHops(words []string) func(socket *os.File) error {
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	runtime.GOMAXPROCS(ptrace.AtOnce()) // they sleep in the kernel, and whoever wakes has one ready
	hops := &ptrace.Hops{Answer: notify.CallAgain, Between: pauses(words)}
	return hops.Serve
}

package main

import (
	"os"
	"os/signal"
	"syscall"

	"github.com/pidfd-shim/pidfd-shim/notify"
	"github.com/pidfd-shim/pidfd-shim/notify/ptrace"
)

// serveHops is the process that has callers run other calls for serve. It is not ended by
// what ends the agent, whose end it finds out by itself: a caller may need it to the end.
func serveHops(words []string) func(socket *os.File) error {
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	hops := &ptrace.Hops{Answer: notify.CallAgain, Between: pauses(words)}
	return hops.Serve
}

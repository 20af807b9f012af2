package main

import (
	"os"

	"github.com/pidfd-shim/pidfd-shim/internal/supervisor"
)

// serveHops is the process that has callers run other calls for serve.
func serveHops(words []string) func(socket *os.File) error {
	return func(socket *os.File) error { return supervisor.ServeHops(socket, pauses(words)) }
}

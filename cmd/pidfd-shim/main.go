// Command pidfd-shim runs a program, or serves a container runtime, and stands
// between it and pidfd_send_signal. This package is flags and wiring: it never
// decides a call.
//
// Read root.go first: it is the list of subcommands and how errors become one line
// and an exit status.
package main

import (
	"os"

	"github.com/pidfd-shim/pidfd-shim/internal/front"
	"github.com/pidfd-shim/pidfd-shim/internal/role"
)

func main() {
	_ = front.AnswerTrapped() // else as it was
	if mine, err := roles().Take(os.Args[1:]); mine {
		os.Exit(role.StatusOf(err))
	}
	os.Exit(execute(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

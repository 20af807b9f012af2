// Package born is what a process had before the Go runtime started. It is apart
// from package front because a package with cgo can have no assembly.
package born

// State is what exec hands on and the Go runtime replaces. Signal n is bit n-1.
type State struct {
	Blocked uint64
	Ignored uint64
	Closed  int // bit n: descriptor n (0 to 2) was closed; the runtime opens /dev/null there
}

// ExecCommand is the first argument of the last step to a program whose ignored
// signals cannot be ignored by a Go process, where CanExec is true:
//
//	PROGRAM __exec SIGNALS PATH ARGV0 [ARG...]
const ExecCommand = "__exec"

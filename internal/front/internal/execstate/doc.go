// Package execstate is what a process had before the Go runtime started. It is apart
// from package front because a package with cgo can have no assembly; the pure build's own is in
// pure_amd64.s.
package execstate

import "strings"

// State is what exec hands on and the Go runtime replaces. Signal n is bit n-1.
type State struct {
	Blocked uint64
	Ignored uint64
	Closed  int    // bit n: descriptor n (0 to 2) was closed; the runtime opens /dev/null there
	Limits  string // the limits that were widened for us, as ExecCommand gives them back
}

// Environment undoes what keeps the Go runtime's variables, which are COMMAND's, from the
// runtime: their first byte is changed before it starts, in a pure build that of all that begin
// with GO. It changes the entries.
func Environment(entries []string) []string {
	for i, entry := range entries {
		if strings.HasPrefix(entry, "\x01O") {
			entries[i] = "G" + entry[1:]
		}
	}
	return entries
}

// ExecCommand is the first argument of the last step to a program whose ignored
// signals cannot be ignored by a Go process, or whose limits are not ours, where CanExec
// is true. LIMITS is State's, or "-":
//
//	PROGRAM __exec SIGNALS LIMITS PATH ARGV0 [ARG...]
const ExecCommand = "__exec"

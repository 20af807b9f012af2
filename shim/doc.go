// Package shim is the vocabulary of supervision (Backend, Call, Verdict,
// Supervisor) and the loop that takes one intercepted system call from Next to
// Answer. It never looks at a target or a policy: handlers do.
//
// Read supervisor.go first: the loop is one screen.
package shim

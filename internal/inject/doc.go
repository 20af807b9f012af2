// Package inject has a caller that waits in a notification make another call in the place of its
// own: a task that is held runs a call of ours, by its own call instruction, and has its registers
// and the result afterwards. On the supervisor's own threads (injector.go), or by a process that
// outlives it (remote.go asks, server.go answers, wire.go is what they say). Which call, and
// whether, is for others to decide.
//
// Read injector.go first.
package inject

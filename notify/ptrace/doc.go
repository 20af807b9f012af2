// Package ptrace is the backend for kernels without user notification: a seccomp
// filter says RET_TRACE and a tracer answers at the stop. The tracer is a process of
// its own, because the supervisor's wait4(-1), which reaps orphans, would take the
// stops for itself; all its requests come from one locked thread, which is the loop's.
//
// It handles group stops as a debugger that is not there, passes signals on unchanged
// and never tells a tracee anything but the result of a call.
//
// It also has the hop, by which a caller under user notification makes another call itself:
// on the supervisor's own threads (hop.go), or by a process that outlives it (remote.go asks,
// hops.go answers).
//
// Read tracer.go first.
package ptrace

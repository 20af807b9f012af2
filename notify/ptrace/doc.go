// Package ptrace is the backend for kernels without user notification: a seccomp
// filter says RET_TRACE and a tracer answers at the stop. The tracer is a process of
// its own, because the supervisor's wait4(-1), which reaps orphans, would take the
// stops for itself; all its requests come from one locked thread, which is the loop's.
//
// It handles group stops as a debugger that is not there, passes signals on unchanged
// and never tells a tracee anything but the result of a call.
//
// Read tracer.go first: start.go has COMMAND until it runs, wait.go takes what happens, describe.go says
// which call a stop is, table.go whom the tracer has, runs.go what they make in their calls' place
// (steps.go a row of calls, births.go with children), holds.go whose numbers are held.
package ptrace

// Package sys is the system calls that golang.org/x/sys/unix has no function for, or one that
// allocates, retries or waits where we may not, and the kernel's constants and structs that it
// lacks: one file a kernel header, one call a function. It decides nothing, retries nothing but
// where a comment says so, and gives errnos as they are. RawSyscall is used where a call cannot
// wait: the Go runtime is not told of it.
//
// It is the only package with unsafe, but for the signal handlers and what runs before the Go
// runtime (internal/front).
package sys

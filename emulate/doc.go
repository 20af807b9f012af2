// Package emulate does what the kernel does for a pidfd_send_signal: it takes the
// caller's descriptor as a handle of our own, makes the checks in the kernel's
// order, applies the permission rule as the caller, and sends, by the handle where
// there is one and else by number under a guard that keeps the number from being
// recycled. It never answers a caller, and it never acts on a number whose owner is
// not held.
//
// Read sendsignal.go first: it is the numbered list of checks. The rest is one
// question a file: resolve.go (which target), caller.go (who asks), permission.go
// (may it), guard.go (is the number still that target's), send.go (by which call).
package emulate

// Package kernel answers what this kernel can do, each answer found by doing the
// thing harmlessly, never by comparing version numbers: distributions move
// features, and sandboxes take them away. It never decides which way a call is
// answered and never leaves a filter, a tracee or a descriptor behind.
//
// A probe returns nil (present), an error that is errors.ErrUnsupported (absent)
// or any other error (could not tell). Nothing is cached: callers keep what they
// asked for.
//
// Read features.go first: it is what a run needs. Probe in probe.go asks everything,
// for doctor.
package kernel

// Package skip is the only way for a test to be skipped, so that a green run never
// means that nothing ran. It never decides what a kernel can do: probes do.
package skip

import (
	"os"
	"testing"
)

// If skips the test when err is not nil: something is missing that most machines
// have and that our tests exist for. With PIDFD_SHIM_NO_SKIP set, as make test sets
// it, that is a failure.
func If(t testing.TB, err error) {
	t.Helper()
	if err == nil {
		return
	}
	if os.Getenv("PIDFD_SHIM_NO_SKIP") != "" {
		t.Fatalf("may not be skipped here (PIDFD_SHIM_ALLOW_SKIP=1 make test allows it): %v", err)
	}
	t.Skip(err)
}

// Extra skips the test when err is not nil, always: what it needs is rare (the x32
// ABI, another kernel, an LSM).
func Extra(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Skip(err)
	}
}

// Soak skips a test that runs for minutes unless make soak asked for it.
func Soak(t testing.TB) {
	t.Helper()
	if os.Getenv("PIDFD_SHIM_SOAK") == "" {
		t.Skip("runs for minutes: make soak")
	}
}

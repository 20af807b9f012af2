package tests

import (
	"errors"
	"slices"
	"testing"

	"github.com/pidfd-shim/pidfd-shim/internal/kernel"
	"github.com/pidfd-shim/pidfd-shim/tests/skip"
)

// TestLandlockConfinesItsOwn: who enters a domain that forbids signals, and whom it bears
// afterwards, gets EPERM for a target outside; nobody else does, in whatever mode: not its
// parent, not older ones, not those who are born beside it, not the other threads.
func TestLandlockConfinesItsOwn(t *testing.T) {
	if !kernel.LandlockScopesSignals() {
		skip.Extra(t, errors.New("Landlock does not scope signals before 6.12"))
	}
	native := attackOutput(t, attackIn(t, "native", "m64", "confine"))
	for i, way := range [][]string{
		{"--mode", "emulate"},
		{"--mode", "forward"},
		{"--mode", "caller"},
		{"--mode", "auto"},
		{"--backend", "ptrace", "--mode", "emulate"},
		{"--backend", "ptrace", "--mode", "forward"},
		{"--backend", "ptrace"},
	} {
		for _, policed := range []bool{false, true} {
			argv := slices.Concat([]string{buildShim(t), "run", "--log-level", "error"}, way)
			if policed {
				argv = append(argv, "--policy", policyFile(t, &guardedProcess{}, guardedPolicies["uid"]))
			}
			argv = slices.Concat(argv, []string{"--"}, attackIn(t, "native", widths[i%2], "confine"))
			for _, line := range lineDiff(native, attackOutput(t, argv)) {
				t.Errorf("%s: %s", line, shellLine(argv))
			}
		}
	}
	t.Logf("natively:\n%s", native)
}

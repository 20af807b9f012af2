package tests

import (
	"strings"
	"testing"
)

// TestFamilyTable: under a policy on all calls that asks about every target and allows
// it, the older calls return and send what they do natively, in every mode.
func TestFamilyTable(t *testing.T) {
	for _, width := range widths {
		native := attackOutput(t, attackIn(t, "native", width, "family-table"))
		if strings.Count(native, "\n") < 1000 {
			t.Fatalf("natively:\n%s", native)
		}
		for _, mode := range guardedModes {
			t.Run(mode+"/"+width, func(t *testing.T) {
				file := policyFile(t, &guardedProcess{}, guardedPolicies["uid"])
				argv := underPolicy(t, mode, width, file, "family-table")
				under := attackOutput(t, argv)
				diff := lineDiff(native, under)
				for _, line := range diff[:min(len(diff), 20)] {
					t.Errorf("%s", line)
				}
				t.Logf("%d rows, %d differ: %s", strings.Count(native, "\n"), len(diff), shellLine(argv))
			})
		}
	}
}

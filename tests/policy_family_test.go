package tests

import (
	"slices"
	"strings"
	"testing"
)

// isForwarded tells of a row that differs only as docs/FIDELITY.md says: a target that
// cannot be pinned, because something else traces it at the time, is signalled by the
// supervisor. On a loaded machine that can be the shim itself, about to let go of it.
func isForwarded(line string) bool {
	got, want, _ := strings.Cut(strings.TrimPrefix(line, "got "), ", want ")
	return strings.NewReplacer("code=0 ", "code=-1 ", "code=-6 ", "code=-1 ").Replace(want) == got
}

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
				diff := slices.DeleteFunc(lineDiff(native, under), isForwarded)
				for _, line := range diff[:min(len(diff), 20)] {
					t.Errorf("%s", line)
				}
				t.Logf("%d rows, %d differ: %s", strings.Count(native, "\n"), len(diff), shellLine(argv))
			})
		}
	}
}

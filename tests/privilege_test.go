package tests

import (
	"strings"
	"testing"
)

// TestPrivilege: a root supervisor lends nothing. Callers of many kinds, and init of a
// pid namespace, are told the same and meet the same end as without the shim.
func TestPrivilege(t *testing.T) {
	for _, width := range widths {
		native := attackOutput(t, attackIn(t, "native", width, "privilege"))
		if strings.Count(native, "\n") < 150 || strings.Count(native, "EPERM") < 50 {
			t.Fatalf("natively:\n%s", native)
		}
		for _, mode := range append([]string{"auto"}, supervised...) {
			t.Run(width+"/"+mode, func(t *testing.T) {
				argv := attackIn(t, mode, width, "privilege")
				under := attackOutput(t, argv)
				for _, line := range lineDiff(native, under) {
					t.Errorf("%s: %s", shellLine(argv), line)
				}
			})
		}
	}
}

// lineDiff compares line by line: the callers print as many in the same order.
func lineDiff(want, got string) []string {
	wants, gots := strings.Split(want, "\n"), strings.Split(got, "\n")
	var diff []string
	for i, line := range wants {
		if i >= len(gots) {
			return append(diff, "ends before: "+line)
		}
		if gots[i] != line {
			diff = append(diff, "got "+gots[i]+", want "+line)
		}
	}
	return diff
}

package tests

import (
	"strconv"
	"testing"
)

// TestNestedGroup: calls about a group whose members are each other's children, under a rule
// about relations. Each member is looked at once, so that the supervisor needs some
// milliseconds a call (it was 12 s for 800), and another caller waits for none of it: taken in turn
// it would get one call for each of the group's.
func TestNestedGroup(t *testing.T) {
	const depth, calls = 400, 6
	for i, mode := range guardedModes {
		width := widths[i%len(widths)]
		t.Run(mode+"/"+width, func(t *testing.T) {
			file := policyFile(t, &guardedProcess{}, guardedPolicies["relation"])
			argv := underPolicy(t, mode, width, file, "nested", "depth="+strconv.Itoa(depth), "calls="+strconv.Itoa(calls))
			got := attackNumbers(t, argv)
			expect(t, argv, got, map[string]int{"group": calls, "odd": 0, "got": depth})
			if got["good"] < 3*(calls+1) || got["cpu_ms"] > 2000 {
				t.Errorf("%v: want more than %d calls beside, and less than 2 s of the supervisor's time: %s", got, 3*(calls+1), shellLine(argv))
			}
			t.Logf("%v", got)
		})
	}
}

package tests

import (
	"strconv"
	"testing"
)

// TestNestedGroup: calls about a group whose members are each other's children, under a rule
// about relations. Each member is looked at once, so that the supervisor needs some
// milliseconds a call (it was 12 s for 800), and another caller waits for none of it: its
// calls begin and end within one of the group's.
func TestNestedGroup(t *testing.T) {
	const depth = 400
	for i, mode := range guardedModes {
		width := widths[i%len(widths)]
		t.Run(mode+"/"+width, func(t *testing.T) {
			file := policyFile(t, &guardedProcess{}, guardedPolicies["relation"])
			argv := underPolicy(t, mode, width, file, "nested", "depth="+strconv.Itoa(depth))
			got := attackNumbers(t, argv)
			expect(t, argv, got, map[string]int{"odd": 0, "got": depth})
			if got["within"] < 3 || got["cpu_ms"] > 300 {
				t.Errorf("%v: want calls within a call, and less than 300 ms of the supervisor's time a call: %s", got, shellLine(argv))
			}
			t.Logf("%v", got)
		})
	}
}

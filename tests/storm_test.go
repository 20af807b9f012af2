package tests

import (
	"fmt"
	"strconv"
	"testing"
)

// storms are the attacks under a timer of 100 us. Each value is distinct and sent until
// the call says 0, as a program does that means to send once.
var storms = []struct {
	words  []string
	values int
}{
	{[]string{"storm", "values=20000", "signalfd=0"}, 20000},
	{[]string{"storm", "values=5000", "signalfd=1"}, 5000},
	{[]string{"self-storm", "values=5000"}, 5000},
	{[]string{"self-storm", "values=2000", "timer=0"}, 2000},
	{[]string{"group-storm", "values=300"}, 4 * 300}, // four members
}

// TestStormDeliversOnce: each value arrives exactly once, with WAIT_KILLABLE_RECV and
// without, with SA_RESTART and without. To oneself it is there when the call returns.
func TestStormDeliversOnce(t *testing.T) {
	for _, killable := range []bool{true, false} {
		for _, mode := range append([]string{"caller"}, supervised...) {
			for _, storm := range storms {
				for restart := range 2 {
					name := fmt.Sprintf("killable=%t/%s/%s/restart=%d", killable, mode, storm.words[0], restart)
					t.Run(name, func(t *testing.T) {
						words := append(storm.words[:len(storm.words):len(storm.words)], "restart="+strconv.Itoa(restart))
						argv := attackIn(t, mode, widths[restart], words...)
						if !killable {
							argv = pretending(t, "nokillable", argv)
						}
						got := attackNumbers(t, argv)
						t.Logf("lost %d, duplicates %d, %d EINTR, %d EAGAIN", got["lost"], got["duplicates"], got["eintr"], got["eagain"])
						want := map[string]int{"duplicates": 0}
						if killable || mode == "continue" {
							want["lost"], want["once"] = 0, storm.values
						}
						if restart == 1 {
							want["eintr"] = 0
						}
						if storm.words[0] == "self-storm" && (killable || mode == "continue") {
							want["late"] = 0
						}
						expect(t, argv, got, want)
					})
				}
			}
		}
	}
}

// maxFDs bounds what a supervisor holds: two descriptors for each of the 256 callers
// that each of its two lanes remembers, and a few of its own.
const maxFDs = 2*2*256 + 64

// TestKilledCallers: callers that die at any moment leave nothing behind, and what they
// sent arrives at most once.
func TestKilledCallers(t *testing.T) {
	callers := soak(100, 5000)
	for _, mode := range supervised {
		t.Run(mode, func(t *testing.T) {
			argv := attackIn(t, mode, "m64", "killed", "callers="+strconv.Itoa(callers))
			got := attackNumbers(t, argv)
			expect(t, argv, got, map[string]int{"duplicates": 0})
			if got["once"] < callers || got["fds_after"] > maxFDs || got["fds_before"] < 5 {
				t.Errorf("%v: want signals of most to have come, and at most %d descriptors", got, maxFDs)
			}
		})
	}
}

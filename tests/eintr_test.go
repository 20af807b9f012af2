package tests

import (
	"strconv"
	"testing"
)

// TestKillIsNotInterrupted: a caller is interruptible until its notification has been received,
// and no program expects EINTR of kill(2). Its child's end comes into the next call while the
// supervisor is at the last one, and into the call that it is made to run.
func TestKillIsNotInterrupted(t *testing.T) {
	rounds := soak(150, 1000)
	for i, mode := range []string{"auto", "forward", "caller"} {
		for _, restart := range []int{0, 1} {
			width := widths[i%len(widths)]
			t.Run(mode+"/"+width+"/restart="+strconv.Itoa(restart), func(t *testing.T) {
				file := policyFile(t, &guardedProcess{}, guardedPolicies["relation"])
				argv := underPolicy(t, mode, width, file, "eintr", "rounds="+strconv.Itoa(rounds), "restart="+strconv.Itoa(restart))
				got := attackNumbers(t, argv)
				expect(t, argv, got, map[string]int{"wrong": 0, "late": 0})
				// 95 in a hundred where one worker does everything; wanted is one. Seen are 0 to 7: who
				// receives is woken late on a machine with other things to do.
				if got["interrupted"] > rounds/8 || restart == 1 && got["interrupted"] > 0 {
					t.Errorf("%d of %d rounds interrupted: %s", got["interrupted"], rounds, shellLine(argv))
				}
				t.Logf("%d of %d rounds interrupted", got["interrupted"], rounds)
			})
		}
	}
}

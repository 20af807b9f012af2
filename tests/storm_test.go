package tests

import (
	"fmt"
	"slices"
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
//
// Where a signal can end the caller's wait and the supervisor sends, one call in 100 may be sent
// twice, in mode emulate or to a group one in 20, for the ledger of restarts guesses: none of
// 270,000 are on an idle machine, up to 33 of 10,000 beside six busy loops, and more beside a
// whole test suite. Without a ledger it is 17 to 38 of 1,000 in mode forward, and 400 to 880 in
// mode emulate and of groups.
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
						want := map[string]int{"duplicates": 0, "lost": 0, "once": storm.values}
						if restart == 1 {
							want["eintr"] = 0
						}
						may := storm.values / 100
						if storm.words[0] == "group-storm" || mode == "emulate" {
							may = storm.values / 20
						}
						if twice := got["duplicates"]; !killable && (mode == "forward" || mode == "emulate") && twice <= may {
							// Accepted answers that a signal throws away: docs/FIDELITY.md.
							want["duplicates"], want["once"] = twice, max(got["once"], storm.values-twice) // one may come three times
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

// exact are the ways in which the caller itself makes the call, with what they are run
// under: there nothing is a heuristic.
var exact = []struct {
	name, pretend string
	flags         []string
}{
	{"ptrace", "", []string{"--backend", "ptrace"}},
	{"ptrace-tagged", "nosyscallinfo", []string{"--backend", "ptrace"}},
	{"caller", "", []string{"--backend", "notify", "--mode", "caller"}},
	{"caller-interruptible", "nokillable,nocontinue", []string{"--backend", "notify", "--mode", "caller"}},
	{"caller-5.0", "5.0", []string{"--backend", "notify", "--mode", "caller"}},
}

// TestStormIsExact where the caller makes the call: each distinct value once, although
// every other attempt is interrupted by somebody, at any moment of it; also where a
// notified call can be interrupted. To oneself, it is there when the call returns. Under
// ptrace the call says EINTR as little as natively.
func TestStormIsExact(t *testing.T) {
	for _, way := range exact {
		for _, storm := range []struct {
			words  []string
			values int
		}{
			{[]string{"storm"}, soak(3000, 20_000)},
			{[]string{"self-storm"}, soak(1500, 20_000)},
		} {
			for restart := range 2 {
				t.Run(fmt.Sprintf("%s/%s/restart=%d", way.name, storm.words[0], restart), func(t *testing.T) {
					attack := attackIn(t, "native", widths[restart],
						storm.words[0], "heckle=1", "values="+strconv.Itoa(storm.values), "restart="+strconv.Itoa(restart))
					argv := slices.Concat([]string{buildTestShim(t), "run", "--log-level", "error"}, way.flags)
					if way.pretend != "" {
						argv = append(argv, "--pretend", way.pretend)
					}
					argv = slices.Concat(argv, []string{"--"}, attack)
					got := attackNumbers(t, argv)
					t.Logf("%d interruptions: %d once, lost %d, duplicates %d, %d EINTR, %d EAGAIN", got["heckled"], got["once"], got["lost"], got["duplicates"], got["eintr"], got["eagain"])
					want := map[string]int{"once": storm.values, "lost": 0, "duplicates": 0}
					if storm.words[0] == "self-storm" {
						want["late"] = 0
					}
					if restart == 1 || way.flags[1] == "ptrace" {
						want["eintr"] = 0
					}
					expect(t, argv, got, want)
					if got["heckled"] == 0 {
						t.Error("nobody interrupted: this shows nothing")
					}
				})
			}
		}
	}
}

// TestLostAnswers: where a caller can be interrupted after its signal was sent, the entry
// that tells its restart ends with its next call, and with time: the same call again sends
// again.
func TestLostAnswers(t *testing.T) {
	for _, mode := range []string{"forward", "emulate"} {
		for between, words := range map[string][]string{
			"another-call": {"lost-answer", "calls=" + strconv.Itoa(soak(100, 2000))},
			"time":         {"lost-answer", "calls=8", "pause=200"},
		} {
			for _, pretend := range []string{"nokillable", "brokenkillable"} { // the flag is absent, or does not hold
				t.Run(mode+"/"+between+"/"+pretend, func(t *testing.T) {
					argv := pretending(t, pretend, attackIn(t, mode, "m64", words...))
					got := attackNumbers(t, argv)
					expect(t, argv, got, map[string]int{"missing": 0})
					t.Logf("%v", got)
				})
			}
		}
	}
}

package tests

import (
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// atOnce bounds, in microseconds, a call that has to wait for nobody: not how fast it is,
// which is the machine's affair. Had it to wait for the deadline of each of 300 hostile
// callers, 50 ms, it would take longer.
const atOnce = 10_000_000

// TestHostileMemory: callers whose siginfo lies on a page that nobody ever fills, beside
// a good one. The first of them may cost two ticks of the watch, and each one is looked
// at once before it waits aside; the supervisor does not grow with their number.
func TestHostileMemory(t *testing.T) {
	for _, mode := range supervised {
		for _, count := range []int{1, soak(300, 2000)} {
			t.Run(mode+"/"+strconv.Itoa(count), func(t *testing.T) {
				argv := attackIn(t, mode, "m64", "hostile", "count="+strconv.Itoa(count))
				got := attackNumbers(t, argv)
				t.Log(got)
				expect(t, argv, got, map[string]int{"wrong": 0})
				if got["first_us"] > atOnce || got["then_us"] > atOnce {
					t.Errorf("the good caller waited %d us at first and %d us then", got["first_us"], got["then_us"])
				}
				threads := got["threads_before"] + 8 + runtime.NumCPU() // an idle one of the Go runtime for each processor
				if got["threads"] > threads || got["fds"] > maxFDs || got["rss"] > got["rss_before"]+16*1024 {
					t.Errorf("the supervisor grew: %v", got)
				}
				if got["children_after"] > 4 {
					t.Errorf("%d children are left to the supervisor: it has COMMAND and at most three helpers", got["children_after"])
				}
			})
		}
	}
}

// TestWeirdDescriptors: what is neither a pidfd nor a /proc/PID directory is EBADF, at
// once.
func TestWeirdDescriptors(t *testing.T) {
	for _, mode := range append([]string{"native"}, supervised...) {
		t.Run(mode, func(t *testing.T) {
			argv := attackIn(t, mode, "m64", "weird")
			for line := range strings.Lines(attackOutput(t, argv)) {
				line = strings.TrimSpace(line)
				if us, ok := strings.CutPrefix(line, "slowest_us="); ok {
					if n, err := strconv.Atoi(us); err != nil || n > atOnce {
						t.Errorf("the slowest took %s us", us)
					}
				} else if !strings.HasSuffix(line, " EBADF EBADF") {
					t.Errorf("%s: %s", shellLine(argv), line)
				}
			}
		})
	}
}

// TestSwappedEpoll: fdinfo of an epoll whose lock is held is never read, not even where the descriptor
// was a pidfd a moment ago: nothing would end that, not even SIGKILL.
func TestSwappedEpoll(t *testing.T) {
	for _, mode := range []string{"forward", "emulate"} {
		t.Run(mode, func(t *testing.T) {
			argv := attackIn(t, mode, "m64", "swap-epoll", "calls="+strconv.Itoa(soak(500, 20_000)))
			got := attackNumbers(t, argv)
			t.Log(got)
			expect(t, argv, got, map[string]int{"wrong": 0})
			if got["unending"] > 1 { // the first, by which the sandbox was suspected
				t.Errorf("%d threads of the supervisor wait for ever: %s", got["unending"], shellLine(argv))
			}
		})
	}
}

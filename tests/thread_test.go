package tests

import (
	"strconv"
	"testing"
)

// TestThreads: each thread's own descriptor table, threads without a leader, and a
// descriptor that another thread swaps while it is used.
func TestThreads(t *testing.T) {
	for _, mode := range append([]string{"native"}, supervised...) {
		for _, width := range widths {
			t.Run(mode+"/"+width, func(t *testing.T) {
				table := attackIn(t, mode, width, "private-table")
				expect(t, table, attackNumbers(t, table), map[string]int{"wrong": 0, "left": 1, "right": 1})
				leader := attackIn(t, mode, width, "no-leader")
				expect(t, leader, attackNumbers(t, leader), map[string]int{"wrong": 0, "arrived": 1})
				flip := attackIn(t, mode, width, "flip", "calls="+strconv.Itoa(soak(3000, 200_000)))
				expect(t, flip, attackNumbers(t, flip), map[string]int{"wrong": 0, "left": 1, "right": 1, "third": 0})
			})
		}
	}
}

// TestFewDescriptors: 32 descriptors for everybody, 40 threads that call at once.
func TestFewDescriptors(t *testing.T) {
	for _, mode := range supervised {
		t.Run(mode, func(t *testing.T) {
			argv := append([]string{"sh", "-c", `ulimit -n 32 && exec "$@"`, "sh"}, attackIn(t, mode, "m64", "many", "threads=40")...)
			expect(t, argv, attackNumbers(t, argv), map[string]int{"calls": 40 * 50 * 5, "wrong": 0, "lost": 0})
		})
	}
}

// TestChurn: many processes and threads that make one call each. The supervisor's
// memory does not grow once its caches are full, and its descriptors no further than
// those: a worker that takes another's place begins with an empty one.
func TestChurn(t *testing.T) {
	for _, mode := range supervised {
		t.Run(mode, func(t *testing.T) {
			argv := attackIn(t, mode, "m64", "churn", "rounds="+strconv.Itoa(soak(1000, 10_000)))
			got := attackNumbers(t, argv)
			t.Log(got)
			expect(t, argv, got, map[string]int{"wrong": 0})
			if got["fds"] > maxFDs || got["rss"] > got["rss_half"]+8*1024 {
				t.Errorf("the supervisor grew: %v", got)
			}
		})
	}
}

package tests

import (
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// TestGuardedFromInside: mounts, roots and namespaces of the sandbox's own.
func TestGuardedFromInside(t *testing.T) {
	for _, scene := range []string{"fake-proc", "other-root", "pid-namespace", "user-namespace"} {
		t.Run(scene, func(t *testing.T) {
			eachGuarded(t, func(t *testing.T, mode, width, policy string) {
				got := attackGuarded(t, mode, width, policy, 90, "within", "scene="+scene, "scratch="+t.TempDir())
				if got["friendly"] == 0 && scene != "user-namespace" || got["refused"] != 0 {
					t.Errorf("%v: want no friend refused", got)
				}
			})
		})
	}
}

// TestGuardedOwnFilters: filters of the program's own, over ours.
func TestGuardedOwnFilters(t *testing.T) {
	names := []string{"allow", "trace-1", "trace-2", "errno", "notif", "listener"}
	eachGuarded(t, func(t *testing.T, mode, width, policy string) {
		for filter, name := range names {
			got := attackGuarded(t, mode, width, policy, 90, "within", "scene=own-filters", "filter="+strconv.Itoa(filter))
			if name == "allow" && (got["refused"] != 0 || got["odd"] != 0) {
				t.Errorf("%s: %v: want no friend refused", name, got)
			}
			if name == "listener" && got["listener"] != -int(unix.EBUSY) {
				t.Errorf("%s: %v: want EBUSY", name, got)
			}
		}
		attackGuarded(t, mode, width, policy, 90, "within", "scene=own-tracer")
	})
}

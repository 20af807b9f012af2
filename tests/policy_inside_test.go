package tests

import (
	"path/filepath"
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

// TestGuardedStuck: callers whose siginfo is on a page of userfaultfd that nobody fills,
// beside others whose calls are decided as ever. A page of the caller's own FUSE server
// ends in the same wait of the same call, and is not tried here: it takes a server.
func TestGuardedStuck(t *testing.T) {
	eachGuarded(t, func(t *testing.T, mode, width, policy string) {
		got := attackGuarded(t, mode, width, policy, 90, "stuck")
		if got["odd"] != 0 || got["refused"] != 0 {
			t.Errorf("%v: want nothing odd, and no friend refused", got)
		}
	})
}

// TestGuardedDroppedUID: one thread's real uid is nobody's, which the policy denies; the
// others of its process are root.
func TestGuardedDroppedUID(t *testing.T) {
	const policy = "default: allow\nrules:\n  - {name: nobody, action: deny, match: {caller: {uid: [65534]}}}\n"
	for _, mode := range guardedModes {
		for _, width := range widths {
			t.Run(mode+"/"+width, func(t *testing.T) {
				got := attackGuarded(t, mode, width, policy, 600, "dropped", "calls=100")
				if got["odd"] != 0 || got["refused"] != 0 || got["friendly"] == 0 {
					t.Errorf("%v: want every call of the one thread denied, none of the other", got)
				}
			})
		}
	}
}

// TestGuardedUndumpable: a caller that nobody but root may look into.
func TestGuardedUndumpable(t *testing.T) {
	eachGuarded(t, func(t *testing.T, mode, width, policy string) {
		got := attackGuarded(t, mode, width, policy, 90, "every-way", "undumpable=1")
		if got["odd"] != 0 || got["refused"] != 0 {
			t.Errorf("%v: want nothing odd, and no friend refused", got)
		}
	})
}

// TestSupervisorIsClosed: who is not root gets nothing out of a supervisor, nor out of
// its helpers, that have his own uid.
func TestSupervisorIsClosed(t *testing.T) {
	for _, mode := range guardedModes {
		t.Run(mode, func(t *testing.T) {
			argv := underPolicy(t, mode, "m64", policyFile(t, &guardedProcess{}, guardedPolicies["uid"]), "steal")
			dir := publicDir(t)
			for i, word := range argv {
				if i == 0 || filepath.IsAbs(word) {
					argv[i] = copyTo(t, dir, word)
				}
			}
			argv = append([]string{"setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--"}, argv...)
			got := attackNumbers(t, argv)
			t.Log(got)
			expect(t, argv, got, map[string]int{"through": 0})
			if got["attempts"] < 70 {
				t.Errorf("%v: want more attempts", got)
			}
		})
	}
}

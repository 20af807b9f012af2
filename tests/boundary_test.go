package tests

import (
	"slices"
	"strconv"
	"testing"
)

// TestBoundary: listeners and tracers of the program's own, by every way into the kernel,
// over tasks that the backend's tracer never gets (attack/boundary.c). On kernels and
// filters without the two rules of policy/boundary.go the tracers let calls through.
func TestBoundary(t *testing.T) {
	eachGuarded(t, func(t *testing.T, mode, width, policy string) {
		if slices.Contains(tracersIn, mode) || soaking {
			attackGuarded(t, mode, width, policy, 4000, "boundary")
			return
		}
		attackGuarded(t, mode, width, policy, 8, "boundary", "scene=listeners")
	})
}

// tracersIn are the modes in which tracers are tried each time: only under ptrace is there
// anything for them.
var tracersIn = []string{"auto", "ptrace"}

// TestBoundaryProtected is the same by root of the own pid namespace.
func TestBoundaryProtected(t *testing.T) {
	needRoot(t)
	for _, mode := range tracersIn {
		for _, width := range widths {
			t.Run(mode+"/"+width, func(t *testing.T) {
				g := startGuarded(t)
				// The guarded process has no number inside: its descriptor is the only way to it.
				argv := underPolicy(t, mode, width, policyFile(t, g, guardedPolicies["uid"]), "boundary", "handed=1", "victim="+strconv.Itoa(g.pid))
				argv = slices.Insert(argv, 2, "--protect-supervisor")
				got := attackNumbers(t, argv, g.pidfd)
				expect(t, argv, got, map[string]int{"through": 0})
				if got["attempts"] < 1000 {
					t.Errorf("too few attempts: %v", got)
				}
				g.untouched(t)
				t.Logf("%d attempts, %d got through", got["attempts"], got["through"])
			})
		}
	}
}

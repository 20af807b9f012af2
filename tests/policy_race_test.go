package tests

import (
	"errors"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestGuardedSwappedDescriptor: a thread, or a process with the same table, puts the
// guarded process's descriptor in the place of the friend's and back.
func TestGuardedSwappedDescriptor(t *testing.T) {
	calls := soak(400, 200_000)
	eachGuarded(t, func(t *testing.T, mode, width, policy string) {
		for sibling := range 2 {
			got := attackGuarded(t, mode, width, policy, calls, "swap-fd", "calls="+strconv.Itoa(calls), "sibling="+strconv.Itoa(sibling))
			if got["denied"] == 0 || got["done"] == 0 || got["denied"]+got["done"] != got["attempts"] {
				t.Errorf("%v: want both, and nothing else", got)
			}
		}
	})
}

// TestGuardedSwappedSiginfo: a thread, a process with the page, or one that writes from
// outside changes what is judged. The receiver counts what must never come.
func TestGuardedSwappedSiginfo(t *testing.T) {
	calls := soak(300, 100_000)
	const policy = "default: allow\nrules:\n  - {name: value, action: deny, match: {values: [666]}}\n  - {name: code, action: deny, match: {codes: [-2]}}\n"
	for _, mode := range guardedModes {
		for _, width := range widths {
			for how, name := range []string{"thread", "mapping", "vm_writev"} {
				for codes, what := range []string{"value", "code"} {
					t.Run(mode+"/"+width+"/"+name+"/"+what, func(t *testing.T) {
						got := attackGuarded(t, mode, width, policy, calls, "swap-info",
							"calls="+strconv.Itoa(calls), "how="+strconv.Itoa(how), "codes="+strconv.Itoa(codes))
						if got["denied"] == 0 || got["done"] == 0 || got["odd"] != 0 || got["received"] != got["done"] {
							t.Errorf("%v: want both, and what was sent received", got)
						}
					})
				}
			}
		}
	}
}

// TestGuardedReuse: a number that one who may be signalled and one who may not have by
// turns, while two threads signal it by every call. Also where the former is traced, so
// that it cannot be pinned, and where it is a thread of the caller.
func TestGuardedReuse(t *testing.T) {
	const policy = "default: deny\nrules:\n  - {name: own, action: allow, match: {target: {relation: [self, child]}}}\n"
	for _, mode := range guardedModes {
		for who, name := range []string{"child", "traced", "thread"} {
			t.Run(mode+"/"+name, func(t *testing.T) {
				width, rounds := widths[who%2], soak(40-who*10, 5000)
				// In a pid namespace of its own, where nobody else takes the numbers.
				file := policyFile(t, &guardedProcess{}, policy)
				argv := inPidns(underPolicy(t, mode, width, file, "reuse", "rounds="+strconv.Itoa(rounds), "who="+strconv.Itoa(who)))
				got := attackNumbers(t, argv)
				t.Log(got)
				expect(t, argv, got, map[string]int{"through": 0})
				if got["arrived"] == 0 || got["rounds"] < rounds/2 { // a thread of the supervisor may have the number
					t.Errorf("%v: want %d rounds and some that arrived", got, rounds)
				}
			})
		}
	}
}

// TestGuardedStaleCaller: a caller's number goes to a process of another pid namespace,
// where the numbers that it names mean others.
func TestGuardedStaleCaller(t *testing.T) {
	eachGuarded(t, func(t *testing.T, mode, width, policy string) {
		got := attackGuarded(t, mode, width, policy, 100, "stale-caller", "rounds="+strconv.Itoa(soak(2, 50)))
		if got["friendly"] < 20 || got["refused"] != 0 {
			t.Errorf("%v: want many callers, none of which is another", got)
		}
	})
}

// TestGuardedRegrouped: a guarded process is moved into a group that is signalled, and
// out of it.
func TestGuardedRegrouped(t *testing.T) {
	calls := soak(50, 20_000)
	for _, mode := range guardedModes {
		for _, width := range widths {
			t.Run(mode+"/"+width, func(t *testing.T) {
				file := policyFile(t, &guardedProcess{}, guardedPolicies["uid"])
				argv := inPidns(underPolicy(t, mode, width, file, "regroup", "calls="+strconv.Itoa(calls)))
				got := attackNumbers(t, argv)
				t.Log(got)
				expect(t, argv, got, map[string]int{"attempts": calls, "through": 0, "friendly": 1})
				if got["done"] == 0 {
					t.Errorf("%v: the friend was to be signalled", got)
				}
			})
		}
	}
}

// TestGuardedEverybody: kill(-1) and kill(0) where there is one who may be signalled and
// one who may not.
func TestGuardedEverybody(t *testing.T) {
	for _, mode := range guardedModes {
		for _, width := range widths {
			t.Run(mode+"/"+width, func(t *testing.T) {
				// In a pid namespace of its own: everybody is many otherwise, if it goes wrong.
				file := policyFile(t, &guardedProcess{}, guardedPolicies["uid"])
				argv := inPidns(underPolicy(t, mode, width, file, "everybody"))
				got := attackNumbers(t, argv)
				t.Log(got)
				expect(t, argv, got, map[string]int{"attempts": 200, "through": 0, "done": 1, "friendly": 1, "killed_friend": 1, "killed_victim": 0})
			})
		}
	}
}

// TestGuardedOverwritten: the instruction by which a caller is made to call again is
// overwritten by another thread. Such a caller goes on with another call's registers until it is
// stopped, and may crash by that: it harms nobody but itself (docs/FIDELITY.md). One of a
// few runs gets to its end.
func TestGuardedOverwritten(t *testing.T) {
	calls := soak(100, 50_000)
	eachGuarded(t, func(t *testing.T, mode, width, policy string) {
		const runs = 20
		for range runs {
			g := startGuarded(t)
			argv := underPolicy(t, mode, width, policyFile(t, g, policy), "overwrite", "calls="+strconv.Itoa(calls),
				"victim="+strconv.Itoa(g.pid), "tid="+strconv.Itoa(g.tid))
			said, complained, err := attackSaid(t, argv, g.pidfd)
			g.untouched(t)
			var exit *exec.ExitError
			if errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGSEGV {
				continue
			}
			if err != nil || complained != "" {
				t.Fatalf("%s: %v\n%s%s", shellLine(argv), err, said, complained)
			}
			if !strings.Contains(said, "through=0") || strings.Contains(said, "done=0\n") {
				t.Errorf("%s: the friend was to be signalled, and nobody else", said)
			}
			return
		}
		t.Errorf("none of %d runs got to its end", runs)
	})
}

// TestGuardedSpinning: callers whose instruction becomes a loop while they are held.
func TestGuardedSpinning(t *testing.T) {
	eachGuarded(t, func(t *testing.T, mode, width, policy string) {
		got := attackGuarded(t, mode, width, policy, 20, "spin-away", "calls=20")
		if got["worst_us"] > 30_000_000 || got["wrong"] != 0 {
			t.Errorf("%v: others had to wait", got)
		}
	})
}

// TestGuardedExec: another thread calls execve while a call is made.
func TestGuardedExec(t *testing.T) {
	eachGuarded(t, func(t *testing.T, mode, width, policy string) {
		rounds := soak(30, 3000)
		got := attackGuarded(t, mode, width, policy, rounds, "exec-away", "rounds="+strconv.Itoa(rounds))
		if got["strange"] != 0 {
			t.Errorf("%v: want every program to end well", got)
		}
	})
}

// TestGuardedStorm: kill(2) while a timer interrupts the caller all the time. What
// returned 0 arrived once; EINTR is all else that can be, where the handler has no
// SA_RESTART: docs/FIDELITY.md.
func TestGuardedStorm(t *testing.T) {
	eachGuarded(t, func(t *testing.T, mode, width, policy string) {
		for restart := range 2 {
			got := attackGuarded(t, mode, width, policy, 0, "storm-kill", "calls="+strconv.Itoa(soak(500, 100_000)), "restart="+strconv.Itoa(restart))
			if got["odd"] != 0 || got["sent"] != got["arrived"] || restart == 1 && got["eintr"] != 0 {
				t.Errorf("restart=%d: %v: first odd: %v", restart, got, unix.Errno(-got["first_odd"]))
			}
		}
	})
}

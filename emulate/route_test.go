package emulate

import (
	"fmt"
	"strings"
	"testing"
)

var modes = [...]Mode{ModeAuto, ModeContinue, ModeForward, ModeCaller, ModeEmulate}

// routeStages are the conditions that a stage may look at, and the routes that it may tell.
var routeStages = [...]struct {
	stage  stage
	reads  condition
	routes []Route
}{
	{stageAsked, decided | forged | passable | byNumber | makesOwn, []Route{RouteOpen, RouteKernel}},
	{
		stageResolved,
		ownProcess | identified | forged | selfWord | passable | byNumber | makesOwn | beyondReach | apart | confined |
			ownCode | unnamed | foreign | rereads | policed | given,
		[]Route{RouteOpen, RouteKernel, RouteCaller},
	},
	{
		stageChecked,
		byHandle | byPidfd | unseen | inCaller | once | sameRight | nested | ignoring | forced | grouped | initOfOwn |
			sameProcess | unheld | passable,
		[]Route{RouteKernel, RouteCaller, RouteHandle, RouteNumber, RouteMembers, RouteNobody},
	},
}

// eachKnown gives every mode with every combination of what a stage reads.
func eachKnown(s stage, reads condition, each func(known)) {
	for _, mode := range modes {
		for holds := reads; ; holds = (holds - 1) & reads { // every subset
			each(known{mode: mode, stage: s, holds: holds, asked: costly})
			if holds == 0 {
				break
			}
		}
	}
}

// TestRouteIsTotal: every combination has one route, the same whether what is costly was
// known before or is found out as it is asked for, and only what it depends on is asked for.
func TestRouteIsTotal(t *testing.T) {
	for _, s := range routeStages {
		eachKnown(s.stage, s.reads, func(k known) {
			want, missing := route(k)
			told := false
			for _, r := range s.routes {
				told = told || r == want
			}
			if missing != 0 || !told {
				t.Fatalf("%+v: route %v, missing %#x", k, want, missing)
			}
			lazy := known{mode: k.mode, stage: k.stage, holds: k.holds &^ costly}
			for asked := 0; ; asked++ {
				got, missing := route(lazy)
				if missing == 0 {
					if got != want {
						t.Fatalf("%+v: route %v, but %v where it is asked in turn", k, want, got)
					}
					return
				}
				if got != RouteOpen || missing&costly&s.reads == 0 || missing&(missing-1) != 0 || lazy.asked&missing != 0 || asked > 5 {
					t.Fatalf("%+v: route %v asks for %#x", lazy, got, missing)
				}
				lazy.learn(missing, k.holds&missing != 0)
			}
		})
		// What a stage does not read changes nothing.
		eachKnown(s.stage, s.reads, func(k known) {
			more := k
			more.holds |= ^s.reads
			a, _ := route(k)
			if b, _ := route(more); a != b {
				t.Fatalf("%+v: route %v, but %v with all that stage %d does not read", k, a, b, s.stage)
			}
		})
	}
}

// TestRouteKeeps is what no combination may break.
func TestRouteKeeps(t *testing.T) {
	has := func(k known, c condition) bool { return k.holds&c == c }
	eachKnown(stageAsked, routeStages[0].reads, func(k known) {
		if r, _ := route(k); r == RouteKernel && (!has(k, decided) || has(k, forged)) {
			t.Fatalf("%+v: a call that is still to be judged is let through", k)
		}
	})
	eachKnown(stageResolved, routeStages[1].reads, func(k known) {
		switch r, _ := route(k); {
		case r == RouteKernel && k.holds&(passable|selfWord|ownProcess) == 0:
			t.Fatalf("%+v: the kernel runs what may change before its look", k)
		case r == RouteKernel && has(k, forged) && !has(k, ownProcess):
			t.Fatalf("%+v: a forged SIGSTOP is let through", k)
		case r == RouteCaller && has(k, rereads):
			t.Fatalf("%+v: the caller makes a call of which a rule judged what is read again", k)
		case k.mode == ModeCaller && r == RouteOpen && !has(k, rereads):
			t.Fatalf("%+v: sent from outside although the caller is to send", k)
		}
	})
	eachKnown(stageChecked, routeStages[2].reads, func(k known) {
		if has(k, byPidfd) && !has(k, byHandle) {
			return // there is no such call
		}
		switch r, _ := route(k); {
		case (r == RouteCaller || r == RouteKernel) && !has(k, inCaller),
			r == RouteCaller && has(k, unheld), r == RouteKernel && (!has(k, passable) || !has(k, unheld)):
			t.Fatalf("%+v: %v", k, r)
		case r == RouteHandle && !has(k, byHandle), r == RouteHandle && k.mode == ModeEmulate && !has(k, sameRight):
			t.Fatalf("%+v: sent through a handle", k)
		case has(k, grouped) && (r == RouteNobody || r == RouteNumber || r == RouteHandle && !has(k, byPidfd)):
			t.Fatalf("%+v: a group is sent to as one", k)
		case r == RouteNobody && !has(k, forced|initOfOwn), r == RouteNumber && has(k, forced|initOfOwn):
			t.Fatalf("%+v: %v: an init is killed from inside, or another is not", k, r)
		}
	})
}

// TestRoutes are calls that people know.
func TestRoutes(t *testing.T) {
	const fromCaller = inCaller | byHandle | byPidfd
	for _, row := range []struct {
		what  string
		stage stage
		holds condition
		want  string // auto, continue, forward, caller, emulate
	}{
		{"a descriptor, no rule asks for more", stageAsked, passable | decided, "kernel kernel open open open"},
		{"the same, and --mode caller rewrites nothing", stageAsked, passable | decided | makesOwn, "kernel kernel kernel kernel kernel"},
		{"kill, no rule asks for more", stageAsked, passable | decided | byNumber, "kernel kernel kernel kernel kernel"},
		{"a rule asks for the target", stageAsked, policed, "open open open open open"},
		{"PIDFD_SELF", stageResolved, identified | selfWord, "kernel open open kernel open"},
		{"raise", stageResolved, identified | policed | byNumber | ownProcess, "kernel kernel kernel kernel kernel"},
		{"a rule asked for the target, no siginfo", stageResolved, identified | policed, "caller caller open caller open"},
		{"a rule asked for the target, with siginfo", stageResolved, identified | policed | given, "open open open caller open"},
		{"a rule asked for si_code", stageResolved, identified | policed | given | rereads, "open open open open open"},
		{"kill, a rule asked for the target", stageResolved, identified | policed | byNumber, "caller caller caller caller caller"},
		{"from another pid namespace, no policy", stageResolved, identified | passable | apart, "open kernel kernel caller open"},
		{"from another pid namespace, a rule asked", stageResolved, identified | policed | given | apart, "caller caller caller caller open"},
		{"confined by Landlock", stageResolved, identified | confined, "open open open caller caller"},
		{"with a handle", stageChecked, byHandle | byPidfd, "handle handle handle handle number"},
		{"without", stageChecked, 0, "number number number number number"},
		{"SIGUSR1 by the caller", stageChecked, fromCaller, "caller caller caller caller caller"},
		{"SIGKILL by the caller, whose right is ours", stageChecked, fromCaller | unseen | forced | sameRight, "handle handle handle handle handle"},
		{"SIGKILL to the init of the caller's namespace", stageChecked, byHandle | byPidfd | unseen | forced | initOfOwn, "nobody nobody nobody nobody nobody"},
		{"what the target ignores", stageChecked, byHandle | byPidfd | ignoring | sameRight, "handle handle handle handle handle"},
		{"a caller that cannot be held", stageChecked, fromCaller | unheld, "handle handle handle handle number"},
		{"the same, where the kernel may run it", stageChecked, fromCaller | unheld | passable, "kernel kernel kernel kernel kernel"},
		{"a group", stageChecked, byHandle | grouped, "members members members members members"},
	} {
		got := make([]string, 0, len(modes))
		for _, mode := range modes {
			r, _ := route(known{mode: mode, stage: row.stage, holds: row.holds, asked: costly})
			got = append(got, fmt.Sprint(r))
		}
		if all := strings.Join(got, " "); all != row.want {
			t.Errorf("%s: %s, want %s", row.what, all, row.want)
		}
	}
}

func BenchmarkRoute(b *testing.B) {
	k := known{mode: ModeForward, stage: stageChecked, holds: byHandle | byPidfd}
	b.ReportAllocs()
	for b.Loop() {
		if r, _ := route(k); r != RouteHandle {
			b.Fatal(r)
		}
	}
}

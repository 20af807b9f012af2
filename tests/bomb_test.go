package tests

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// bombed are the ways in which a forkbomb's calls are answered.
var bombed = []struct {
	name  string
	flags []string
}{
	{"ptrace", []string{"--backend", "ptrace"}},
	{"ptrace-emulate", []string{"--backend", "ptrace", "--mode", "emulate"}},
	{"notify", []string{"--backend", "notify"}},
	{"notify-forward", []string{"--backend", "notify", "--mode", "forward"}},
	{"notify-caller", []string{"--backend", "notify", "--mode", "caller"}},
}

// bomb is a forkbomb under the shim in a pid namespace of its own, whose first process
// ends only when nobody is left in it: what is stopped or never reaped is its deadline.
func bomb(t *testing.T, flags []string, words ...string) map[string]int {
	t.Helper()
	attack := attackIn(t, "native", "m64", "bomb")
	argv := slices.Concat([]string{attack[0], "init", buildShim(t), "run"}, flags, []string{"--"}, attack, words)
	return attackNumbers(t, inPidns(argv))
}

// bombFDs is for the callers that live at a time, and the helpers that were started.
const bombFDs = 4*16 + 8

// TestForkbomb: short-lived children, a third of them orphans, each making one call.
// Every call is answered and counted, what was sent came once, and nothing is left.
func TestForkbomb(t *testing.T) {
	children := soak(2000, 20_000)
	for _, way := range bombed {
		t.Run(way.name, func(t *testing.T) {
			trace := filepath.Join(t.TempDir(), "trace")
			got := bomb(t, append(way.flags, "--trace="+trace), "children="+strconv.Itoa(children))
			text, err := os.ReadFile(trace)
			if err != nil {
				t.Fatal(err)
			}
			lines := bytes.Count(text, []byte("pidfd_send_signal("))
			t.Logf("%d lines in the trace, %v", lines, got)
			expect(t, way.flags, got, map[string]int{
				"done": children, "once": (children + 2) / 4, "answered": got["calls"],
				"enosys": 0, "other": 0, "zombies": 0, "stopped": 0, "status": 43,
			})
			if lines != got["calls"]+2 { // and the first, and the one that ends the collector
				t.Errorf("%d lines in the trace, %d calls", lines, got["calls"])
			}
			for _, who := range []string{"fds", "tracer_fds"} {
				if got[who] > got[who+"_start"]+bombFDs {
					t.Errorf("%s: %d are left of dead callers: %v", who, got[who]-got[who+"_start"], got)
				}
			}
		})
	}
}

// victims are those who answer, by their number in bomb.c.
var victims = []string{1: "supervisor", 2: "tracer", 3: "front"}

// TestForkbombKilled: SIGKILL of one of ours in the middle. Whatever becomes of COMMAND,
// its tree ends, and so do we: nothing is stopped, nobody waits for an answer, no zombie
// and no process of ours is left. Who is left is named by the namespace's first process.
func TestForkbombKilled(t *testing.T) {
	for _, way := range bombed {
		for which, who := range victims {
			if who == "" || who == "tracer" && way.flags[1] != "ptrace" {
				continue
			}
			t.Run(way.name+"/"+who, func(t *testing.T) {
				for round := range soak(3, 60) {
					after := 100 + 83*round%400
					attack := attackIn(t, "native", "m64", "bomb", "children=600",
						"victim="+strconv.Itoa(which), "after="+strconv.Itoa(after))
					argv := inPidns(slices.Concat([]string{attack[0], "init", buildShim(t), "run"}, way.flags, []string{"--"}, attack))
					said, complained, err := attackSaid(t, argv)
					if err != nil || !strings.Contains(said, "status=") {
						t.Fatalf("%s: %v\n%s%s", shellLine(argv), err, said, complained)
					}
					judgeKilled(t, argv, who, said)
				}
			})
		}
	}
}

// heldCallers bounds how many callers may be held at a time: by the workers.
const heldCallers = 8

// judgeKilled knows what is documented: a tracer takes its tree with it (EXITKILL) and ends
// with its supervisor, and a front's death is COMMAND's; without a supervisor whose calls are
// notified COMMAND goes on.
func judgeKilled(t *testing.T, argv []string, who, said string) {
	t.Helper()
	got := map[string]int{}
	for line := range strings.Lines(said) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		got[name], _ = strconv.Atoi(value)
	}
	switch {
	case who == "supervisor" && !slices.Contains(argv, "ptrace"):
		want := map[string]int{"status": 43, "calls": 600, "done": 600, "other": 0, "zombies": 0, "stopped": 0}
		if slices.Contains(argv, "caller") { // who is held dies with it: docs/FIDELITY.md
			want["done"] = max(got["done"], 600-heldCallers)
		}
		expect(t, argv, got, want)
	default:
		if got["status"] != 137 {
			t.Errorf("%s: status %d, want 137 (SIGKILL)", shellLine(argv), got["status"])
		}
	}
}

package tests

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestRecycledNumber: descriptors whose number is another's by now answer ESRCH, in
// whatever way the number was recycled, and the new owner gets nothing.
func TestRecycledNumber(t *testing.T) {
	for _, mode := range append([]string{"native"}, supervised...) {
		for _, how := range []string{"set_tid=0", "set_tid=1"} {
			t.Run(mode+"/"+how, func(t *testing.T) {
				argv := inPidns(attackIn(t, mode, "m64", "recycled", how))
				lines := strings.Split(strings.TrimSpace(attackOutput(t, argv)), "\n")
				if len(lines) != 4*6*4+2 {
					t.Errorf("%d lines", len(lines))
				}
				for _, line := range lines {
					if !strings.HasSuffix(line, " ESRCH with info ESRCH") && !strings.HasSuffix(line, " pending=0") {
						t.Errorf("%s: %s", shellLine(argv), line)
					}
				}
			})
		}
	}
}

// TestRecyclingRace recycles a number without pause while others send through the
// descriptors of those who had it, until enough of them died during a send. A process
// that got a signal was named by nobody. In emulate this is what the guard makes of it:
// the figure is printed beside the guards.
func TestRecyclingRace(t *testing.T) {
	for _, mode := range supervised {
		for _, dir := range []string{"dir=0", "dir=1"} {
			t.Run(mode+"/"+dir, func(t *testing.T) {
				raced := soak(100, 10_000)
				argv := attackIn(t, mode, "m64", "recycling", dir, "raced="+strconv.Itoa(raced))
				audit := filepath.Join(t.TempDir(), "audit")
				if mode == "emulate" {
					argv = append([]string{argv[0], "run", "--audit=" + audit}, argv[2:]...)
				}
				argv = inPidns(argv)
				got := attackNumbers(t, argv)
				t.Logf("%d misdirected of %d sends (%d good), %d of %d targets died during one, guards %v",
					got["hits"], got["sends"], got["good"], got["raced"], got["rounds"], guards(t, audit))
				expect(t, argv, got, map[string]int{"hits": 0, "raced": raced})
				if got["good"] < 2*got["rounds"] {
					t.Errorf("%v: not every target was reached by both senders", got)
				}
			})
		}
	}
}

// TestOutsiderRace is the race with targets outside the tree, whom a tracer does not have:
// a call in flight names one, others, too, or have just ended, and its number is given away.
// Four callers at once, each of whom is to get its turn. A policy that asks who the target is
// takes the kernel's own call from the caller: numbers are named instead.
func TestOutsiderRace(t *testing.T) {
	policy := filepath.Join(t.TempDir(), "policy.yaml")
	const asks = "version: 1\ndefault: allow\nrules:\n  - {name: nobody, action: deny, match: {target: {pid: [4194303]}}}\n"
	if err := os.WriteFile(policy, []byte(asks), 0o600); err != nil {
		t.Fatal(err)
	}
	type way struct {
		backend, mode string
		policed       bool
	}
	ways := []way{{"ptrace", "caller", false}, {"ptrace", "caller", true}, {"ptrace", "emulate", false}, {"notify", "auto", true}}
	if soaking {
		ways = append(ways, way{"ptrace", "emulate", true}, way{"ptrace", "forward", true}, way{"notify", "caller", false},
			way{"notify", "caller", true}, way{"notify", "emulate", false}, way{"notify", "forward", true})
	}
	for _, w := range ways {
		for _, senders := range []string{"senders=4", "senders=1"}[:soak(1, 2)] {
			t.Run(fmt.Sprintf("%s/%s/policed=%v/%s", w.backend, w.mode, w.policed, senders), func(t *testing.T) {
				inside := attackIn(t, w.mode, "m64", "outsider-senders", senders)
				run := []string{inside[0], "run", "--log-level", "error", "--backend", w.backend, "--mode", w.mode}
				if w.policed {
					run = append(run, "--policy", policy)
				}
				outside := attackIn(t, "native", "m64", "outsider", fmt.Sprintf("rounds=%d", soak(200, 10_000)), senders, "--")
				argv := inPidns(slices.Concat(outside, run, []string{"--"}, inside[slices.Index(inside, "--")+1:]))
				got := attackNumbers(t, argv)
				t.Logf("%d misdirected of %d sends (%d good)", got["hits"], got["sends"], got["good"])
				expect(t, argv, got, map[string]int{"hits": 0})
			})
		}
	}
}

// guards counts the guards of an audit file's calls that sent something.
func guards(t *testing.T, path string) map[string]int {
	t.Helper()
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	counts := map[string]int{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		_, rest, _ := strings.Cut(lines.Text(), `"guard":"`)
		guard, _, ok := strings.Cut(rest, `"`)
		if ok && guard != "none" {
			counts[guard]++
		}
	}
	return counts
}

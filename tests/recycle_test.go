package tests

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
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

package tests

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// minRows is what the suite promises for each width.
const minRows = 500

// shown is how many failing rows are printed; the rest is in a file.
const shown = 25

// mode is a way to run the caller under the shim.
type mode struct {
	name  string
	flags []string
}

func modes(t *testing.T) []mode {
	t.Helper()
	denying := filepath.Join(t.TempDir(), "deny.yaml")
	replace(t, denying, "version: 1\ndefault: deny\nrules:\n  - {name: one, action: deny, match: {target: {relation: [self]}}}\n")
	all := []mode{
		{"auto", nil},
		{"auto-trace", []string{"--trace=" + filepath.Join(t.TempDir(), "trace"), "--complain", "--policy", denying}},
		{"continue", []string{"--mode", "continue"}},
		{"forward", []string{"--mode", "forward"}},
		{"caller", []string{"--mode", "caller"}},
		{"emulate", []string{"--mode", "emulate"}},
		{"guarded", []string{"--policy", policyFile(t, &guardedProcess{}, feltPolicy)}},
		{"ptrace", []string{"--backend", "ptrace"}},
		{"ptrace-emulate", []string{"--backend", "ptrace", "--mode", "emulate"}},
	}
	only := os.Getenv("TRUTH_MODES")
	if only == "" {
		return all
	}
	return slices.DeleteFunc(all, func(m mode) bool { return !slices.Contains(strings.Split(only, ","), m.name) })
}

// TestTruth runs every row natively and under the shim: each difference that
// docs/FIDELITY.md does not name fails, and so does each that it names in vain.
// TRUTH_MODES=forward,emulate and TRUTH_ONLY=SUBSTRING run a part.
func TestTruth(t *testing.T) {
	shim := buildShim(t)
	exceptions, err := readExceptions()
	if err != nil {
		t.Fatal(err)
	}
	for _, width := range widths {
		t.Run(width, func(t *testing.T) {
			truth := append([]string{buildTruth(t, "truth", width)}, rowsWanted()...)
			native := nativeRows(t, truth)
			for _, m := range modes(t) {
				t.Run(m.name, func(t *testing.T) {
					run := slices.Concat([]string{shim, "run"}, m.flags, []string{"--"})
					rows := runTruth(t, slices.Concat(run, truth)...)
					v := judge(native, rows, exceptions, m.name, width, rowsWanted() != nil)
					t.Logf("truth %s %s: %s", width, m.name, v)
					report(t, v, width+"-"+m.name, append(run, truth[0]))
				})
			}
			if rowsWanted() == nil {
				t.Run("complain", func(t *testing.T) { complain(t, width, truth[0], exceptions) })
			}
		})
	}
}

// rowsWanted are the caller's arguments for TRUTH_ONLY.
func rowsWanted() []string {
	if only := os.Getenv("TRUTH_ONLY"); only != "" {
		return []string{"--only", only}
	}
	return nil
}

// nativeRows runs the caller twice without the shim: a row that is not equal to
// itself cannot judge anything.
func nativeRows(t *testing.T, truth []string) []row {
	t.Helper()
	first := runTruth(t, truth...)
	if len(first) < minRows && rowsWanted() == nil {
		t.Errorf("%d rows, the suite promises %d", len(first), minRows)
	}
	again := judge(first, runTruth(t, truth...), nil, "native", "", false)
	if len(again.failures) > 0 {
		t.Fatalf("not deterministic:\n%s", strings.Join(again.failures, "\n"))
	}
	return first
}

// report prints the first failures and how to see one of them again, and leaves all
// of them in build/.
func report(t *testing.T, v verdicts, name string, argv []string) {
	t.Helper()
	path := filepath.Join(mustBuildDir(t), "truth-"+name+".diff")
	if err := os.WriteFile(path, []byte(strings.Join(v.failures, "\n")+"\n"), 0o644); err != nil {
		t.Error(err)
	}
	if len(v.failures) == 0 {
		return
	}
	again := shellLine(append(argv, "--row")) + " ROW"
	t.Errorf("%s:\n%s\n%d failed, all are in build/%s\none row again: %s", name,
		strings.Join(v.failures[:min(shown, len(v.failures))], "\n"), len(v.failures), filepath.Base(path), again)
}

// TestTruthTurnsRed runs the rows with a system call number that no kernel has:
// a suite that stays green over that would prove nothing.
func TestTruthTurnsRed(t *testing.T) {
	for _, width := range widths {
		t.Run(width, func(t *testing.T) {
			native := runTruth(t, buildTruth(t, "truth", width))
			broken := runTruth(t, buildTruth(t, "truth-enosys", width, "-DSYS_SEND=1023"))
			v := judge(native, broken, nil, "broken", width, false)
			t.Logf("truth %s without the call: %s", width, v)
			if len(v.failures) < len(native)*9/10 { // the rest: the program's own filter answered
				t.Errorf("only %d of %d rows notice that the call is missing", len(v.failures), len(native))
			}
		})
	}
}

// TestTruthSurvivesAHang runs rows with pause(2) for the call: each must end at its
// deadline and say so, and leave nothing behind.
func TestTruthSurvivesAHang(t *testing.T) {
	const pause = "-DSYS_SEND=34" // of amd64
	rows := runTruth(t, buildTruth(t, "truth-pause", "m64", pause), "--deadline", "100", "--only", "fds/fd=pidfd/")
	if len(rows) != 3 {
		t.Fatalf("%d rows, want 3", len(rows))
	}
	for _, r := range rows {
		if !strings.HasPrefix(r.line, "ret=HANG ") {
			t.Errorf("row %s: %s", r.id, r.line)
		}
	}
}

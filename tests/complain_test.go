package tests

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const denyEverything = `version: 1
syscalls: all
default: deny
rules:
  - {name: parents, action: deny, match: {target: {relation: [parent]}}}
  - {name: zero, action: deny, match: {signals: [0]}}
  - {name: own, action: allow, match: {target: {relation: [self]}}}
`

// TestComplain has a policy deny most of a program's calls, and only say so: each result is
// as without it, and the audit has what would have been.
func TestComplain(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "deny.yaml")
	replace(t, file, denyEverything)
	for _, width := range widths {
		bin := buildTraced(t, width)
		want := straced(t, bin)
		for _, way := range [][]string{
			{"--backend", "notify"}, {"--backend", "ptrace"}, {"--mode", "forward"}, {"--mode", "caller"},
		} {
			audit, trace := filepath.Join(dir, width+way[1]+".jsonl"), filepath.Join(dir, width+way[1]+".trace")
			argv := append([]string{buildShim(t), "run", "--complain", "--policy", file, "--audit", audit, "--trace=" + trace}, way...)
			if o := (program{argv: append(argv, "--", bin)}).run(t); o.status != 0 {
				t.Fatalf("%s: status %d: %s", shellLine(argv), o.status, o.output)
			}
			sameTrace(t, tracedLines(t, readFile(t, trace)), want)
			verdicts := map[string]int{}
			for _, line := range auditLines(t, audit) {
				rule, _ := line["rule"].(string)
				verdicts[line["verdict"].(string)+" "+rule]++
			}
			if verdicts["log zero"] < 20 || verdicts["allow own"] < 300 || verdicts["deny zero"]+verdicts["deny default"] > 0 {
				t.Errorf("%s: verdicts %v", shellLine(argv), verdicts)
			}
		}
	}
}

// complainingModes are those that TestTruth has complain, each width half of them.
var complainingModes = map[string][]string{
	"m64": {"forward", "caller", "ptrace"}, "m32": {"continue", "emulate", "ptrace-emulate"},
}

// complain has modes complain of all calls over a part of the truth suite: rows are as without
// a policy.
func complain(t *testing.T, width, truth string, exceptions []exception) {
	dir := t.TempDir()
	file := filepath.Join(dir, "deny.yaml")
	replace(t, file, denyEverything)
	part := []string{truth, "--every", "16"}
	native := runTruth(t, part...)
	for _, m := range modes(t) {
		if !slices.Contains(complainingModes[width], m.name) {
			continue
		}
		audit := filepath.Join(dir, m.name)
		run := slices.Concat([]string{buildShim(t), "run"}, m.flags, []string{"--complain", "--policy", file, "--audit", audit, "--"})
		v := judge(native, runTruth(t, slices.Concat(run, part)...), exceptions, m.name, width, true)
		report(t, v, width+"-complain-"+m.name, append(run, truth))
		if logged := strings.Count(readFile(t, audit), `"verdict":"log"`); logged < 50 {
			t.Errorf("%s: %d calls were logged", m.name, logged)
		}
	}
}

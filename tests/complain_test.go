package tests

import (
	"path/filepath"
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

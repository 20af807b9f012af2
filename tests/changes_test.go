package tests

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// changePolicy denies by what callers and targets are made into.
const changePolicy = `default: allow
rules:
  - {name: caller-exe, action: deny, match: {caller: {exe: ["SCRATCH/denied-program"]}}}
  - {name: caller-comm, action: deny, match: {caller: {comm: [denied]}}}
  - {name: caller-euid, action: deny, match: {caller: {euid: [4242]}}}
  - {name: caller-uid, action: deny, match: {caller: {uid: [4343]}}}
  - {name: target-uid, action: deny, match: {target: {uid: [4444]}}}
  - {name: target-comm, action: deny, match: {target: {comm: [denied]}}}
  - {name: target-exe, action: deny, match: {target: {exe: ["SCRATCH/denied-target"]}}}
`

// changesDenied are the steps after which that policy denies.
var changesDenied = []string{
	"renamed", "effective uid", "real uid", "execve", "set-uid execve", "execve by a thread",
	"target renamed", "target's real uid", "target's execve",
}

// TestChanges: what was found out about a caller or a target at an earlier call is not
// believed after an execve, a set-uid one, another name, other ids or namespaces. Where the
// policy has nothing to say the result is the native one. docs/ARCHITECTURE.md lists what is
// kept, what can change it and what notices.
func TestChanges(t *testing.T) {
	for i, mode := range guardedModes {
		width := widths[i%len(widths)]
		t.Run(mode+"/"+width, func(t *testing.T) {
			for _, step := range []string{"renamed", "ids", "execs", "set-uid", "thread-execs", "namespaces", "target"} {
				scratch := t.TempDir()
				words := []string{"changes", "step=" + step, "scratch=" + scratch}
				native := attackOutput(t, attackIn(t, "native", width, words...))
				file := policyFile(t, &guardedProcess{}, strings.ReplaceAll(changePolicy, "SCRATCH", filepath.Clean(scratch)))
				argv := underPolicy(t, mode, width, file, words...)
				for _, line := range lineDiff(changesWanted(native), attackOutput(t, argv)) {
					t.Errorf("%s: %s: %s", step, line, shellLine(argv))
				}
			}
		})
	}
}

// changesWanted is the native output with the policy's denials in it.
func changesWanted(native string) string {
	var wanted strings.Builder
	for line := range strings.Lines(native) {
		if step, _, _ := strings.Cut(line, ": "); slices.Contains(changesDenied, step) {
			line = step + ": EACCES EACCES\n"
		}
		wanted.WriteString(line)
	}
	return wanted.String()
}

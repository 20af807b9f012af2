package tests

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// feltPolicy names every call and allows it, but has to look at each target first.
const feltPolicy = "default: allow\nrules:\n  - {name: never, action: deny, match: {target: {comm: [no-such-name]}}}\n"

// buildFelt builds felt/felt.c.
func buildFelt(t *testing.T, width string) string {
	t.Helper()
	bin := filepath.Join(mustBuildDir(t), "felt-"+width)
	if out, err := exec.Command("gcc", "-w", "-O1", "-static", "-"+width, "-o", bin, "felt/felt.c").CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	return bin
}

// isUnfelt tells of a row that differs as docs/FIDELITY.md says: the supervisor sends, and
// so SI_USER and SI_TKILL are SI_QUEUE.
func isUnfelt(mode, line string) bool {
	got, want, _ := strings.Cut(strings.TrimPrefix(line, "got "), ", want ")
	queued := strings.NewReplacer("code=0 sender=1", "code=-1 sender=1", "code=-6 sender=1", "code=-1 sender=1").Replace(want) == got
	if mode == "forward" || mode == "emulate" {
		return queued
	}
	return queued && (strings.HasPrefix(got, "sigtimedwait/waited-ignored/") || strings.HasPrefix(got, "sigwaitinfo/waited-ignored/"))
}

// TestGuardIsNotFelt: what a target ignores, or has blocked, or does not get at all, does not
// end what it waits in; what it gets comes as it was sent; and when the call has returned
// nobody traces the target. All as natively, under a policy that has to look at each target.
func TestGuardIsNotFelt(t *testing.T) {
	times := "100"
	if soaking {
		times = "1000"
	}
	for _, width := range widths {
		argv := []string{buildFelt(t, width), times}
		native := attackOutput(t, argv)
		const rows = 6*10*4 + 4*2 + 4 + 2*2*4*4
		if got := strings.Count(native, "\n"); got != rows || strings.Contains(native, "failed=1") {
			t.Fatalf("%d rows, want %d:\n%s", got, rows, native)
		}
		file := policyFile(t, &guardedProcess{}, feltPolicy)
		for _, mode := range guardedModes[:4] { // under ptrace everybody is traced
			t.Run(mode+"/"+width, func(t *testing.T) {
				run := []string{buildShim(t), "run", "--log-level", "error", "--policy", file, "--mode", mode, "--"}
				under := attackOutput(t, slices.Concat(run, argv))
				diff := slices.DeleteFunc(lineDiff(native, under), func(line string) bool { return isUnfelt(mode, line) })
				for _, line := range diff[:min(len(diff), 20)] {
					t.Errorf("%s", line)
				}
			})
		}
	}
}

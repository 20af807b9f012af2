package tests

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// killerOfTheDying is COMMAND: it kills each of its children a hundred times over, as fast
// as it can.
func killerOfTheDying(t *testing.T, width string) string {
	t.Helper()
	const source = `
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
int main(void)
{
	for (int i = 0; i < 20; i++) {
		pid_t child = fork();
		if (child == 0)
			for (;;)
				pause();
		for (int j = 0; j < 100; j++)
			if (kill(child, j ? SIGKILL : SIGUSR2))
				return 1;
		waitpid(child, 0, 0);
	}
	return 0;
}`
	bin := filepath.Join(mustBuildDir(t), "killer-of-the-dying-"+width)
	build := exec.Command("gcc", "-w", "-O1", "-static", "-"+width, "-o", bin, "-x", "c", "-")
	build.Stdin = strings.NewReader(source)
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	return bin
}

// TestEqualCallsAreEachJudged: a caller that is let go from one call makes the same call
// again at once. Each of them is judged and audited, none is taken for the one before.
func TestEqualCallsAreEachJudged(t *testing.T) {
	file := policyFile(t, &guardedProcess{}, guardedPolicies["relation"])
	for _, width := range widths {
		for _, mode := range guardedModes {
			t.Run(mode+"/"+width, func(t *testing.T) {
				lines, how := filepath.Join(t.TempDir(), "audit"), "--mode="+mode
				if mode == "ptrace" {
					how = "--backend=ptrace"
				}
				out, err := exec.Command(buildShim(t), "run", "--policy", file, "--audit="+lines, how, "--", killerOfTheDying(t, width)).CombinedOutput()
				if err != nil {
					t.Fatalf("%v\n%s", err, out)
				}
				text, err := os.ReadFile(lines)
				if err != nil {
					t.Fatal(err)
				}
				const want = 20 * 100
				if got := strings.Count(string(text), "\n"); got != want {
					t.Errorf("%d lines of %d calls", got, want)
				}
			})
		}
	}
}

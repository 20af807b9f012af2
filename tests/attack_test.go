package tests

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// supervised are the modes in which a call reaches the supervisor, or could.
var supervised = []string{"continue", "forward", "emulate"}

// attackDeadline is for one attack: reaching it means that somebody hangs.
const attackDeadline = 5 * time.Minute

// soaking is true under make soak, where races run for long.
var soaking = os.Getenv("PIDFD_SHIM_SOAK") != ""

// soak is one of two sizes of a test.
func soak(short, long int) int {
	if soaking {
		return long
	}
	return short
}

var attackOnce = map[string]func() (string, error){
	"m64": sync.OnceValues(func() (string, error) { return compileAttack("m64") }),
	"m32": sync.OnceValues(func() (string, error) { return compileAttack("m32") }),
}

func compileAttack(width string) (string, error) {
	sources, err := filepath.Glob("attack/*.c")
	if err != nil || len(sources) == 0 {
		return "", fmt.Errorf("no C sources in attack/: %w", err)
	}
	bin, err := filepath.Abs(filepath.Join(buildDir, "attack-"+width))
	if err != nil {
		return "", err
	}
	args := append([]string{"-static", "-pthread", "-O1", "-" + width, "-Wall", "-Wextra", "-Werror", "-o", bin}, sources...)
	if out, err := exec.Command("gcc", args...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("gcc -%s (needs gcc-multilib): %w\n%s", width, err, out)
	}
	return bin, nil
}

// attackIn is the command line of an attack under the shim. Mode "native" has no shim.
func attackIn(t *testing.T, mode, width string, words ...string) []string {
	t.Helper()
	mustBuildDir(t)
	bin, err := attackOnce[width]()
	if err != nil {
		t.Fatal(err)
	}
	argv := append([]string{bin}, words...)
	if mode == "native" {
		return argv
	}
	return slices.Concat([]string{buildShim(t), "run", "--log-level", "error", "--mode", mode, "--"}, argv)
}

// pretending makes a command line of attackIn one of the test build's.
func pretending(t *testing.T, what string, argv []string) []string {
	t.Helper()
	return slices.Concat([]string{buildTestShim(t), "run", "--pretend", what}, argv[2:])
}

var testShimOnce = sync.OnceValues(func() (string, error) {
	bin, err := filepath.Abs(filepath.Join(buildDir, "pidfd-shim-shimtest"))
	if err != nil {
		return "", err
	}
	cmd := exec.Command("go", "build", "-tags", "shimtest", "-o", bin, "./cmd/pidfd-shim")
	cmd.Dir = ".."
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build -tags shimtest: %w\n%s", err, out)
	}
	return bin, nil
})

// buildTestShim builds the shim with the switches of test builds.
func buildTestShim(t *testing.T) string {
	t.Helper()
	mustBuildDir(t)
	bin, err := testShimOnce()
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

// inPidns puts a command into a pid namespace of its own, supervisor and all, in which
// nobody else takes numbers.
func inPidns(argv []string) []string {
	return append([]string{"unshare", "--pid", "--fork", "--kill-child", "--mount-proc"}, argv...)
}

// attackOutput runs an attack to its end and fails the test if there is none, or if
// anybody wrote to stderr.
func attackOutput(t *testing.T, argv []string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), attackDeadline)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &stdout, &stderr, time.Minute
	err := cmd.Run()
	if err = errors.Join(err, ctx.Err()); err != nil || stderr.Len() > 0 {
		t.Fatalf("%s: %v\n%s%s", shellLine(argv), err, stdout.String(), stderr.String())
	}
	return stdout.String()
}

// attackNumbers are the "name=number" lines of an attack.
func attackNumbers(t *testing.T, argv []string) map[string]int {
	t.Helper()
	numbers := map[string]int{}
	output := attackOutput(t, argv)
	for line := range strings.Lines(output) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		n, err := strconv.Atoi(value)
		if err != nil {
			t.Fatalf("%s: line %q", shellLine(argv), line)
		}
		numbers[name] = n
	}
	return numbers
}

// expect fails the test for each number that is not as wanted, showing how to see it.
func expect(t *testing.T, argv []string, got, want map[string]int) {
	t.Helper()
	for name, n := range want {
		if value, there := got[name]; !there || value != n {
			t.Errorf("%s=%d, want %d: %s\nall: %v", name, value, n, shellLine(argv), got)
		}
	}
}

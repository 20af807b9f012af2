package front

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pidfd-shim/pidfd-shim/tests/skip"
)

// rowDeadline is for one script: each ends by events, some after pauses of a second.
const rowDeadline = time.Minute

// A row is a script of bash. $RUN is what it puts in front of a command, nothing natively;
// $PLAY is play/play.c, $DIR an empty directory.
type row struct {
	name   string
	script string
	rounds int    // 0: one
	needs  string // a program
	plain  bool   // not where COMMAND is to get a pid namespace
	slow   bool   // there in the long form alone
}

// variants are the ways to run: nothing first.
var variants = []string{
	"",
	"run --backend notify --",
	"run --backend ptrace --",
	"run --backend notify --protect-supervisor --",
	"run --backend ptrace --protect-supervisor --",
}

// compare runs the rows natively and in each other way. What is printed, and the script's
// own status, have to be the same.
func compare(t *testing.T, rows []row) {
	t.Helper()
	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			if r.needs != "" {
				_, err := exec.LookPath(r.needs)
				skip.If(t, err)
			}
			want := r.run(t, "")
			for _, variant := range variants[1:] {
				if strings.Contains(variant, "protect") && (r.plain || r.slow && soak(0, 1) == 0 || os.Getuid() != 0) {
					continue
				}
				for round := range soak(max(1, r.rounds), 100) {
					if got := r.run(t, variant); got != want {
						t.Errorf("%s, round %d:\n%s\nnatively:\n%s", variant, round, got, want)
						break
					}
				}
			}
		})
	}
}

func (r row) run(t *testing.T, variant string) string {
	t.Helper()
	if variant != "" {
		variant = shim(t) + " " + variant
	}
	return r.with(t, variant)
}

// with is the script's output and status. Stderr is part of it: nothing of ours is said.
func (r row) with(t *testing.T, run string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), rowDeadline)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "--norc", "--noprofile", "-c", r.script)
	cmd.WaitDelay = rowDeadline
	cmd.Env = append(os.Environ(), "RUN="+run, "PLAY="+player(t), "DIR="+t.TempDir(), "LC_ALL=C")
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	err := cmd.Run()
	var exit *exec.ExitError
	if ctx.Err() != nil || err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s: %v\n%s", run, errors.Join(err, ctx.Err()), output.String())
	}
	return fmt.Sprintf("%s[%v]", output.String(), cmd.ProcessState)
}

// soak is how many rounds a row has.
func soak(short, long int) int {
	if os.Getenv("PIDFD_SHIM_SOAK") != "" {
		return long
	}
	return short
}

// shim builds the program once; PIDFD_SHIM names another binary.
func shim(t *testing.T) string {
	t.Helper()
	path, err := builtShim()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var builtShim = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("PIDFD_SHIM"); path != "" {
		return filepath.Abs(path)
	}
	return build("pidfd-shim", "go", "build", "-o")
})

// player builds play.c once.
func player(t *testing.T) string {
	t.Helper()
	path, err := builtPlayer()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var builtPlayer = sync.OnceValues(func() (string, error) {
	return build("front-play", "gcc", "-Wall", "-Wextra", "-Werror", "-O1", "-static", "-pthread", "-o")
})

func build(name string, tool ...string) (string, error) {
	path, err := filepath.Abs(filepath.Join("../../build", name))
	if err != nil {
		return "", err
	}
	source := "../../cmd/pidfd-shim"
	if tool[0] == "gcc" {
		source = "play/play.c"
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", err
	}
	out, err := exec.Command(tool[0], append(tool[1:], path, source)...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build %s: %w\n%s", name, err, out)
	}
	return path, nil
}

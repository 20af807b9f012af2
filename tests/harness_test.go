package tests

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// runDeadline is for one run of all rows: a row that hangs costs its own deadline
// of 30 seconds, so this is reached only if something is badly wrong.
const runDeadline = 10 * time.Minute

// buildDir is where binaries stay after the test, so that a failing row can be run
// by hand.
const buildDir = "../build"

// widths are the compilations of the C caller.
var widths = []string{"m64", "m32"}

// buildTruth compiles the C caller for a width, as build/NAME-WIDTH.
func buildTruth(t *testing.T, name, width string, more ...string) string {
	t.Helper()
	sources, err := filepath.Glob("truth/*.c")
	if err != nil || len(sources) == 0 {
		t.Fatalf("no C sources in truth/: %v", err)
	}
	bin := filepath.Join(mustBuildDir(t), name+"-"+width)
	args := append([]string{"-static", "-pthread", "-O1", "-" + width, "-Wall", "-Wextra", "-Werror", "-o", bin}, more...)
	out, err := exec.Command("gcc", append(args, sources...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("gcc -%s (needs gcc-multilib): %v\n%s", width, err, out)
	}
	return bin
}

func mustBuildDir(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(buildDir)
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

var shimOnce = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("PIDFD_SHIM"); path != "" {
		return filepath.Abs(path)
	}
	bin, err := filepath.Abs(filepath.Join(buildDir, "pidfd-shim"))
	if err != nil {
		return "", err
	}
	cmd := exec.Command("go", "build", "-o", bin, "./cmd/pidfd-shim")
	cmd.Dir = ".."
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build ./cmd/pidfd-shim: %w\n%s", err, out)
	}
	return bin, nil
})

// buildShim builds the shim once for all tests; PIDFD_SHIM names another binary.
func buildShim(t *testing.T) string {
	t.Helper()
	bin, err := shimOnce()
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

// row is one line of the caller: what the call returned and what was received.
type row struct {
	id   string
	line string // "ret=0 errno=0 got=..."
}

// runTruth runs the caller, perhaps under a wrapper, and returns its rows.
func runTruth(t *testing.T, argv ...string) []row {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), runDeadline)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &stdout, &stderr, time.Minute
	err := cmd.Run()
	rows, parseErr := parseRows(stdout.String())
	if err = errors.Join(err, parseErr, ctx.Err()); err != nil {
		t.Fatalf("%s: %v\nafter %d rows; stderr: %s", shellLine(argv), err, len(rows), stderr.String())
	}
	if stderr.Len() > 0 {
		t.Errorf("%s: stderr is not empty: %s", shellLine(argv), stderr.String())
	}
	return rows
}

// parseRows reads "ROW id | ret=... | got=..." lines, and the count that ends them.
func parseRows(text string) ([]row, error) {
	var rows []row
	seen := map[string]bool{}
	counted := -1
	scanner := bufio.NewScanner(strings.NewReader(text))
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		line := scanner.Text()
		if n, ok := strings.CutPrefix(line, "ROWS "); ok {
			var err error
			if counted, err = strconv.Atoi(n); err != nil {
				return rows, fmt.Errorf("line %q: %w", line, err)
			}
			continue
		}
		rest, ok := strings.CutPrefix(line, "ROW ")
		id, result, hasResult := strings.Cut(rest, " | ")
		if !ok || !hasResult {
			return rows, fmt.Errorf("line %q is not a row", line)
		}
		if seen[id] {
			return rows, fmt.Errorf("row %q is there twice", id)
		}
		seen[id] = true
		rows = append(rows, row{id, strings.Replace(result, " | ", " ", 1)})
	}
	if counted != len(rows) {
		return rows, fmt.Errorf("%d rows, but the caller counted %d", len(rows), counted)
	}
	return rows, scanner.Err()
}

// shellLine is argv as a person can paste it, paths relative to the repository.
func shellLine(argv []string) string {
	root, _ := filepath.Abs("..")
	words := make([]string, len(argv))
	for i, word := range argv {
		if rel, err := filepath.Rel(root, word); err == nil && filepath.IsAbs(word) && !strings.HasPrefix(rel, "..") {
			word = rel
		}
		if strings.ContainsAny(word, " *$&|;<>'\"\\()") {
			word = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
		}
		words[i] = word
	}
	return strings.Join(words, " ")
}

package notify

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// A filter cannot be taken off again, so what installs one runs in a child: this very
// test binary, told to run that one test. The flag says that it is the child, and where
// the built callers are.
var callers = flag.String("callers", "", "run as the child of a test, with callers from this directory")

const deadline = time.Minute

// The main goroutine stays on the main thread, as Launch demands.
func init() { runtime.LockOSThread() }

func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(withCallers(m.Run))
}

// withCallers builds testdata/caller.c for both widths, once for all tests; a test that
// finds its caller missing says why.
func withCallers(run func() int) int {
	if *callers != "" {
		return run()
	}
	dir, err := os.MkdirTemp("", "notify-test")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	for _, width := range []string{"-m64", "-m32"} {
		build := exec.Command("gcc", width, "-O1", "-static", "-pthread", "-o", filepath.Join(dir, "caller"+width), "testdata/caller.c")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "%v: %v\n%s", build, err, out)
		}
	}
	*callers = dir
	defer func() { *callers = "" }()
	isParent = true
	return run()
}

// isParent is set in the process that the user started.
var isParent bool

// inChild runs body in a child process that does nothing else. A child that does not
// end in time is killed and has failed.
func inChild(t *testing.T, body func(t *testing.T)) {
	t.Helper()
	if !isParent {
		body(t)
		return
	}
	out, err := childCommand(t)
	if strings.Contains(out, "--- SKIP") {
		t.Skip(out)
	}
	if err != nil || !strings.Contains(out, "--- PASS") {
		t.Fatalf("child: %v\n%s", err, out)
	}
}

// childCommand runs the child and returns what it and everyone it started printed.
func childCommand(t *testing.T) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*deadline)
	defer cancel()
	name := "^" + strings.ReplaceAll(t.Name(), "/", "$/^") + "$"
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.v", "-test.run", name, "-callers", *callers)
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0") // else a second for each child
	cmd.WaitDelay = deadline
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		err = errors.Join(err, ctx.Err())
	}
	return string(out), err
}

// within fails the test unless f ends before the deadline.
func within[T any](t *testing.T, what string, f func() T) T {
	t.Helper()
	result := make(chan T, 1)
	go func() { result <- f() }()
	select {
	case r := <-result:
		return r
	case <-time.After(deadline):
		t.Fatalf("%s: nothing within %v", what, deadline)
		panic("unreachable")
	}
}

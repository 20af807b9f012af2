package tests

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// programDeadline is for one run: the longest takes seconds.
const programDeadline = 5 * time.Minute

// outcome is what is to be equal: how a program ended and what of its output counts,
// and, where somebody watched, its calls.
type outcome struct {
	status int // as a shell has it
	output string
	calls  []call
}

// call is what one pidfd_send_signal asked for and came to.
type call struct {
	sig   int
	errno string // "" is success
	path  string // under the shim: who ran it
	own   bool   // under the shim: its siginfo has a code that one can only send to oneself
}

func signalsOf(calls []call) []int {
	var list []int
	for _, c := range calls {
		list = append(list, c.sig)
	}
	slices.Sort(list)
	return list
}

// resultsOf is sorted: which thread comes first is chance.
func resultsOf(calls []call) []string {
	var list []string
	for _, c := range calls {
		list = append(list, strings.TrimSpace(strconv.Itoa(c.sig)+" "+c.errno))
	}
	slices.Sort(list)
	return list
}

// run runs a program, perhaps under a wrapper, to its end.
func (p program) run(t *testing.T, wrapper ...string) outcome {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), programDeadline)
	defer cancel()
	argv := slices.Concat(wrapper, p.argv)
	var output bytes.Buffer
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = p.dir, &output, &output, time.Minute
	err := cmd.Run()
	var exit *exec.ExitError
	if ctx.Err() != nil || err != nil && !errors.As(err, &exit) {
		t.Fatalf("%s: %v\n%s", shellLine(argv), errors.Join(err, ctx.Err()), output.String())
	}
	o := outcome{status: cmd.ProcessState.ExitCode(), output: p.relevant(output.String())}
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		o.status = 128 + int(status.Signal())
	}
	if o.status != 0 {
		t.Logf("%s: status %d\n%s", shellLine(argv), o.status, output.String())
	}
	return o
}

// runNative runs a program without the shim while strace counts.
func (p program) runNative(t *testing.T, more ...string) outcome {
	t.Helper()
	dir := t.TempDir()
	strace := []string{
		"strace", "--seccomp-bpf", "-ff", "-qq", "-X", "raw", "-e", "signal=none",
		"-e", "trace=pidfd_send_signal", "-o", filepath.Join(dir, "calls"),
	}
	o := p.run(t, slices.Concat(strace, more, []string{"--"})...)
	files, err := filepath.Glob(filepath.Join(dir, "calls.*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("strace wrote nothing: %v", err)
	}
	for _, file := range files { // one a thread, so that no line is torn
		o.calls = append(o.calls, readStrace(t, file)...)
	}
	return o
}

// The result is "?" where the caller was killed in the call.
var straceLine = regexp.MustCompile(`^pidfd_send_signal\(-?\d+, (\d+), .*\) += (?:-?\d+|\?)(?: (E\w+))?`)

func readStrace(t *testing.T, path string) []call {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var calls []call
	for line := range strings.Lines(string(text)) {
		m := straceLine.FindStringSubmatch(line)
		if m == nil {
			if strings.HasPrefix(line, "pidfd_send_signal") {
				t.Fatalf("strace line %q is not understood", line)
			}
			continue // a detached process
		}
		sig, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		calls = append(calls, call{sig: sig, errno: m[2]})
	}
	return calls
}

// runShim runs a program under the shim; its calls are those of --audit, and --trace
// must have as many. It ends when nobody is left, so that no line is still to come.
func (p program) runShim(t *testing.T, flags ...string) outcome {
	t.Helper()
	dir := t.TempDir()
	trace, audit := filepath.Join(dir, "trace"), filepath.Join(dir, "audit")
	argv := slices.Concat([]string{buildShim(t), "run"}, flags, []string{"--wait", "all", "--trace=" + trace, "--audit=" + audit, "--"})
	o := p.run(t, argv...)
	o.calls = readAudit(t, audit)
	lines, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(lines), "] pidfd_send_signal("); n != len(o.calls) {
		t.Errorf("%s: %d calls in the trace, %d in the audit file", shellLine(argv), n, len(o.calls))
	}
	return o
}

func readAudit(t *testing.T, path string) []call {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var calls []call
	scanner := bufio.NewScanner(file)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		var line struct {
			Syscall, Path, Errno string
			Args                 struct{ Sig int }
			Info                 *struct{ Code int }
		}
		if err := json.Unmarshal(scanner.Bytes(), &line); err != nil {
			t.Fatalf("audit line %q: %v", scanner.Text(), err)
		}
		if line.Syscall != "pidfd_send_signal" {
			t.Errorf("audit line %q: another call", scanner.Text())
		}
		own := line.Info != nil && line.Info.Code >= 0
		calls = append(calls, call{sig: line.Args.Sig, errno: line.Errno, path: line.Path, own: own})
	}
	if err := scanner.Err(); err != nil {
		t.Fatal(err)
	}
	return calls
}

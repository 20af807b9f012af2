package tests

import (
	"bytes"
	"encoding/json"
	"errors"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// leavesBehind runs a program and leaves a process that has none of its descriptors.
const leavesBehind = `sleep 1 >&- 2>&- & "$0"`

// pidfdLines are those of the call that is intercepted without a policy.
func pidfdLines(lines []string) []string {
	return slices.DeleteFunc(lines, func(l string) bool { return !strings.HasPrefix(l, "pidfd_send_signal") })
}

func exitCode(err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return 0
}

// TestLostLinesAreTold has nowhere to write the lines of an audit: whoever looks sees how
// many are missing, also where COMMAND has left somebody behind.
func TestLostLinesAreTold(t *testing.T) {
	bin := buildTraced(t, "m64")
	calls := len(pidfdLines(straced(t, bin)))
	for _, backend := range []string{"notify", "ptrace"} {
		for name, command := range map[string][]string{"alone": {bin}, "left": {"bash", "-c", leavesBehind, bin}} {
			t.Run(backend+"/"+name, func(t *testing.T) {
				argv := append([]string{buildShim(t), "run", "--backend", backend, "--audit=/dev/full", "--"}, command...)
				_, stderr, err := attackSaid(t, argv)
				missing := strconv.Itoa(calls)
				if err != nil || !strings.Contains(stderr, "failed="+missing+" ") || !strings.Contains(stderr, "no space left") {
					t.Errorf("%s: %v: %d calls, stderr %q", shellLine(argv), err, calls, stderr)
				}
			})
		}
	}
}

// TestAgentTellsOfLostLines asks an agent whose disk is full.
func TestAgentTellsOfLostLines(t *testing.T) {
	metrics := filepath.Join(shortDir(t), "metrics")
	agent := startAgent(t, "--metrics", "unix:"+metrics, "--audit", "/dev/full")
	loaders, begin := startLoaders(t, agent.socket, 1, 0)
	begin()
	loaders[0].wait(t)
	agent.log.await(t, "served until its end")
	for end := time.Now().Add(agentDeadline); ; time.Sleep(time.Millisecond) { //nolint:forbidigo // nothing tells when the writer has failed
		if counted(scrape(t, metrics), "pidfd_shim_audit_failed_total") == 8 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("no 8 lines have failed: %d", counted(scrape(t, metrics), "pidfd_shim_audit_failed_total"))
		}
	}
	var said bytes.Buffer
	ps := exec.Command(buildShim(t), "ps", "--control", agent.socket+".control")
	ps.Stderr = &said
	if err := ps.Run(); err != nil || !strings.Contains(said.String(), "the audit lacks 8 lines of 8: write: no space left on device") {
		t.Errorf("ps: %v: %q", err, &said)
	}
}

// TestFifoWithoutReader is refused at once, and one with a reader is written to.
func TestFifoWithoutReader(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	bin := buildTraced(t, "m64")
	for _, flag := range []string{"--audit=", "--trace=", "--summary="} {
		for _, backend := range []string{"notify", "ptrace"} {
			argv := []string{buildShim(t), "run", "--backend", backend, flag + fifo, "--", bin}
			_, stderr, err := attackSaid(t, argv)
			if exit := exitCode(err); exit != 125 || strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, "nobody reads this FIFO") {
				t.Errorf("%s: status %d, %q", shellLine(argv), exit, stderr)
			}
		}
	}
	reader := exec.Command("cat", fifo)
	var text bytes.Buffer
	reader.Stdout = &text
	if err := reader.Start(); err != nil {
		t.Fatal(err)
	}
	argv := []string{buildShim(t), "run", "--audit=" + fifo, "--", bin}
	for end := time.Now().Add(agentDeadline); time.Now().Before(end); { // until cat has opened it
		if _, _, err := attackSaid(t, argv); err == nil {
			break
		}
	}
	if err := reader.Wait(); err != nil || !json.Valid(bytes.Split(text.Bytes(), []byte("\n"))[0]) || text.Len() == 0 {
		t.Errorf("a FIFO with a reader: %v, %d bytes", err, text.Len())
	}
}

// TestFileOfTraceNeedsAnEqualsSign: with a blank it would be taken for COMMAND.
func TestFileOfTraceNeedsAnEqualsSign(t *testing.T) {
	for _, words := range [][]string{{"--trace", "x.log", "--", "true"}, {"--summary", "x.log", "true"}} {
		argv := append([]string{buildShim(t), "run"}, words...)
		_, stderr, err := attackSaid(t, argv)
		if exitCode(err) != 125 || !strings.Contains(stderr, "write "+words[0]+"=x.log") {
			t.Errorf("%s: %v, %q", shellLine(argv), err, stderr)
		}
	}
}

// TestSummaryTable is printed at COMMAND's end, in both backends, and knows the results of
// calls that the kernel ran.
func TestSummaryTable(t *testing.T) {
	bin := buildTraced(t, "m64")
	lines := pidfdLines(straced(t, bin))
	failed := 0
	for _, line := range lines {
		if strings.Contains(line, "= -1 ") {
			failed++
		}
	}
	for _, backend := range []string{"notify", "ptrace"} {
		argv := []string{buildShim(t), "run", "--backend", backend, "--summary", "--", bin}
		_, stderr, err := attackSaid(t, argv)
		want := strconv.Itoa(len(lines)) + " " + strconv.Itoa(failed) + " total"
		if err != nil || !strings.HasSuffix(strings.Join(strings.Fields(stderr), " "), want) {
			t.Errorf("%s: %v, want %s at the end of\n%s", shellLine(argv), err, want, stderr)
		}
	}
}

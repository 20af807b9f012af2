package tests

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// inFamily is a command line whose descriptors are ours, whatever the kernel has: what they do
// there is what the kernel's own do here.
func inFamily(shim string, argv ...string) []string {
	return append([]string{shim, "run", "--backend", "ptrace", "--family", "on", "--wait", "all", "--"}, argv...)
}

// TestFamilyTruth: a signal sent by a descriptor of ours, in every situation of the suite.
func TestFamilyTruth(t *testing.T) {
	shim := buildShim(t)
	exceptions, err := readExceptions()
	if err != nil {
		t.Fatal(err)
	}
	for _, width := range widths {
		truth := []string{buildTruth(t, "truth", width), "--every", strconv.Itoa(16 / soak(1, 16))}
		native := runTruth(t, truth...)
		argv := inFamily(shim, truth...)
		v := judge(native, runTruth(t, argv...), exceptions, "family", width, true)
		t.Logf("truth %s family: %s", width, v)
		report(t, v, width+"-family", argv)
	}
}

// TestFamilyCalls: how a descriptor is had, waited for and passed on, and what it refuses.
func TestFamilyCalls(t *testing.T) {
	shim := buildShim(t)
	for _, width := range widths {
		calls := buildFamily(t, width)
		native := play(t, calls)
		if !strings.HasSuffix(native, "rows end\nend: <nil>\n") {
			t.Fatalf("natively:\n%s", native)
		}
		if said := play(t, inFamily(shim, calls)...); said != native {
			t.Errorf("%s\nnatively:\n%sunder the shim:\n%s", shellLine(inFamily(shim, calls)), native, said)
		}
	}
}

func buildFamily(t *testing.T, width string) string {
	t.Helper()
	bin := filepath.Join(mustBuildDir(t), "family-"+width)
	out, err := exec.Command("gcc", "-pthread", "-O1", "-"+width, "-static", "-Wall", "-Wextra", "-Werror", "-o", bin, "family/calls.c").CombinedOutput()
	if err != nil {
		t.Fatalf("gcc -%s (needs gcc-multilib): %v\n%s", width, err, out)
	}
	return bin
}

// TestFamilyEndsAreReady is TestTreeEndsAreReady for descriptors of ours.
func TestFamilyEndsAreReady(t *testing.T) {
	shim := buildShim(t)
	for _, width := range widths {
		argv := inFamily(shim, buildTree(t, width, "-static"), "ready", strconv.Itoa(soak(8, 1000)))
		said := play(t, argv...)
		if n := strings.Count(said, ": missed 0\n"); n != 36 || !strings.HasSuffix(said, "end: <nil>\n") {
			t.Errorf("%s\n%s", shellLine(argv), said)
		}
	}
}

// TestFamilyLeavesNothing: descriptors that nobody holds any more are none of the tracer's.
func TestFamilyLeavesNothing(t *testing.T) {
	many := soak(1000, 20000)
	scene := startFamily(t, "many", strconv.Itoa(many))
	count := func() int {
		list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", scene.tracer))
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	before := count()
	scene.tell(t)
	scene.expect(t, "dropped")
	deadline := time.Now().Add(10 * time.Second)
	for count() > before && time.Now().Before(deadline) {
		time.Sleep(5 * time.Millisecond) //nolint:forbidigo // nothing tells of a descriptor's end in another process
	}
	if after := count(); after > before {
		t.Errorf("the tracer had %d descriptors, and has %d after %d were opened and dropped", before, after, many)
	}
	scene.tell(t)
	if err := scene.cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// TestFamilyTracerIsKilled: who polls a descriptor then waits no more.
func TestFamilyTracerIsKilled(t *testing.T) {
	scene := startFamily(t, "poll")
	scene.expect(t, "polling")
	if err := unix.Kill(scene.tracer, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- scene.cmd.Wait() }()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("it says that all went well")
		}
	case <-time.After(20 * time.Second):
		t.Error("it waits for ever")
	}
}

// familyScene is a program that holds descriptors of ours and does what it is told.
type familyScene struct {
	cmd    *exec.Cmd
	in     io.Writer
	said   *bufio.Scanner
	tracer int // a thread of the tracer's
}

func startFamily(t *testing.T, scene ...string) *familyScene {
	t.Helper()
	argv := append([]string{buildShim(t), "run", "--backend", "ptrace", "--family", "on", "--", buildFamily(t, "m64")}, scene...)
	s := &familyScene{cmd: exec.Command(argv[0], argv[1:]...)}
	s.cmd.Stderr = os.Stderr
	in, err := s.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.cmd.Process.Kill() })
	s.in, s.said = in, bufio.NewScanner(out)
	s.said.Scan()
	if _, err := fmt.Sscanf(s.said.Text(), "ready %d", &s.tracer); err != nil || s.tracer == 0 {
		t.Fatalf("it said %q: %v", s.said.Text(), err)
	}
	return s
}

func (s *familyScene) expect(t *testing.T, line string) {
	t.Helper()
	if s.said.Scan(); s.said.Text() != line {
		t.Fatalf("it said %q, not %q", s.said.Text(), line)
	}
}

func (s *familyScene) tell(t *testing.T) {
	t.Helper()
	if _, err := s.in.Write([]byte{'\n'}); err != nil {
		t.Fatal(err)
	}
}

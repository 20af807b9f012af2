package tests

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// sceneDeadline is for one scene; the caller gives itself one minute.
const sceneDeadline = 2 * time.Minute

// buildTree compiles the caller of the process-tree scenes.
func buildTree(t *testing.T, width string, more ...string) string {
	t.Helper()
	sources, err := filepath.Glob("ptrace/*.c")
	if err != nil || len(sources) == 0 {
		t.Fatalf("no C sources in ptrace/: %v", err)
	}
	bin := filepath.Join(mustBuildDir(t), "tree-"+width+strings.Join(more, ""))
	args := append([]string{"-pthread", "-O1", "-" + width, "-Wall", "-Wextra", "-Werror", "-o", bin}, more...)
	if out, err := exec.Command("gcc", append(args, sources...)...).CombinedOutput(); err != nil {
		t.Fatalf("gcc -%s (needs gcc-multilib): %v\n%s", width, err, out)
	}
	return bin
}

// play runs a command to the end of everything that holds its output.
func play(t *testing.T, argv ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), sceneDeadline)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &out, &out, sceneDeadline
	err := cmd.Run()
	if ctx.Err() != nil {
		t.Fatalf("%s: %v\n%s", shellLine(argv), ctx.Err(), out.String())
	}
	return fmt.Sprintf("%send: %v\n", out.String(), err)
}

// traced runs a command under the ptrace backend and returns what it said and how many
// calls the trace has.
func traced(t *testing.T, shim, pretend string, argv ...string) (said string, calls int) {
	t.Helper()
	trace := filepath.Join(t.TempDir(), "trace")
	words := []string{shim, "run", "--backend", "ptrace", "--wait", "all", "--trace=" + trace}
	if pretend != "" {
		words = append(words, "--pretend", pretend)
	}
	said = play(t, append(append(words, "--"), argv...)...)
	text, err := os.ReadFile(trace)
	if err != nil {
		t.Fatal(err)
	}
	return said, bytes.Count(text, []byte("pidfd_send_signal("))
}

// callsSaid counts the calls that a scene says it made.
func callsSaid(said string) int {
	n := 0
	for line := range strings.Lines(said) {
		var quiet int
		if strings.HasPrefix(line, "CALL ") {
			n++
		} else if _, err := fmt.Sscanf(line, "QUIET %d", &quiet); err == nil {
			n += quiet
		}
	}
	return n
}

// Each scene of processes, threads, signals and stops is natively and under the ptrace
// backend the same, and no call of it is missed.
func TestTree(t *testing.T) {
	shim := buildShim(t)
	scenes := []string{
		"say x", "fork", "vfork", "clone", "clone3", "clone-parent", "threads", "thread-exec", "thread-exec-busy", "leader-exits",
		"daemon", "pidns", "dumpable", "stops", "self-stop", "siginfo", "queue", "order", "regs",
		"restart read handled", "restart read restart", "restart read ignored", "restart read default", "restart read stop",
		"restart poll handled", "restart poll restart", "restart poll ignored", "restart poll stop",
		"restart nanosleep handled", "restart nanosleep ignored", "restart nanosleep stop",
		"restart epoll handled", "restart epoll restart", "restart epoll stop", "restart epoll-timed stop",
		"trace-other 1", "trace-other 77", "trace-own 77", "errno", "allow", "int80", "int80 1",
	}
	builds := map[string]string{"m64": buildTree(t, "m64", "-static"), "m32": buildTree(t, "m32", "-static"), "dynamic": buildTree(t, "m64")}
	for name, bin := range builds {
		for _, scene := range scenes {
			if name == "dynamic" && !strings.HasPrefix(scene, "thread") && !strings.HasPrefix(scene, "say") {
				continue
			}
			t.Run(name+"/"+strings.ReplaceAll(scene, " ", "-"), func(t *testing.T) {
				t.Parallel()
				compareScene(t, shim, "", append([]string{bin}, strings.Fields(scene)...))
			})
		}
	}
}

func compareScene(t *testing.T, shim, pretend string, argv []string) {
	t.Helper()
	native := play(t, argv...)
	said, calls := traced(t, shim, pretend, argv...)
	if said != native {
		t.Errorf("%s --backend ptrace -- %s\nnatively:\n%sunder the shim:\n%s", shellLine([]string{shim, "run"}), shellLine(argv), native, said)
	}
	if strings.Contains(native, "FAILED") || callsSaid(native) == 0 && !strings.Contains(native, "filter:") && !strings.Contains(native, "round:") {
		t.Errorf("%s tests nothing:\n%s", shellLine(argv), native)
	}
	if want := callsSaid(said); !strings.Contains(said, "filter:") && calls < want {
		t.Errorf("%s: the trace has %d calls, the program made %d", shellLine(argv), calls, want)
	}
}

// TestTreeEndsAreReady: an end is seen when it can be waited for, in every round, by each way
// to hear of it and of each kind of process.
func TestTreeEndsAreReady(t *testing.T) {
	shim := buildShim(t)
	for _, width := range widths {
		argv := []string{buildTree(t, width, "-static"), "ready", strconv.Itoa(soak(25, 1000))}
		said := play(t, append([]string{shim, "run", "--backend", "ptrace", "--wait", "all", "--"}, argv...)...)
		if n := strings.Count(said, ": missed 0\n"); n != 36 || !strings.HasSuffix(said, "end: <nil>\n") {
			t.Errorf("%s run --backend ptrace -- %s\n%s", shim, shellLine(argv), said)
		}
	}
}

// A tracee is woken by signals that it ignores, and what the kernel never restarts
// (signal(7)) says EINTR then: docs/FIDELITY.md has it.
func TestTreeIgnoredSignalInterrupts(t *testing.T) {
	shim, bin := buildShim(t), buildTree(t, "m64", "-static")
	for _, scene := range []string{"epoll ignored", "epoll-timed ignored", "epoll-timed default"} {
		argv := append([]string{bin, "restart"}, strings.Fields(scene)...)
		what, _, _ := strings.Cut(scene, " ")
		if native := play(t, argv...); !strings.HasPrefix(native, what+": 1 ,") {
			t.Errorf("%s natively: %s", scene, native)
		}
		if said, _ := traced(t, shim, "", argv...); !strings.HasPrefix(said, what+": -1 EINTR,") {
			t.Errorf("%s is no difference any more: %s", scene, said)
		}
	}
}

// A root-owned set-uid program that another user runs: its uids, and whom it may signal.
func TestTreeSetuid(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("makes a set-uid program of root's")
	}
	shim := buildShim(t)
	for _, width := range widths {
		dir, err := os.MkdirTemp("/tmp", "pidfd-shim-setuid")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		bin, suid := buildTree(t, width, "-static"), filepath.Join(dir, "suid")
		text, err := os.ReadFile(bin)
		if err == nil {
			err = os.WriteFile(suid, text, 0o755)
		}
		if err == nil {
			err = os.Chmod(dir, 0o755)
		}
		if err == nil {
			err = os.Chmod(suid, 0o755|os.ModeSetuid)
		}
		if err != nil {
			t.Fatal(err)
		}
		native := play(t, bin, "setuid", suid)
		if !strings.Contains(native, "uid 65534 euid 0") {
			t.Fatalf("not set-uid natively: %s", native)
		}
		compareScene(t, shim, "", []string{bin, "setuid", suid})
	}
}

package tests

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/pidfd-shim/pidfd-shim/internal/confine"
)

// kept is CAP_DAC_READ_SEARCH (2), CAP_KILL (5) and CAP_SYS_PTRACE (19).
const kept = 0x80024

// TestAgentPrivileges looks at each thread of agents, of their helpers and of an agent
// that has taken over, under load: none may do more than the list says.
func TestAgentPrivileges(t *testing.T) {
	ours, err := confine.Of(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	most := fmt.Sprintf("%016x", ours.Permitted&kept)
	want := map[string]string{
		"CapPrm": most, "CapEff": most, "CapBnd": fmt.Sprintf("%016x", ours.Bounding&kept),
		"CapInh": "0000000000000000", "CapAmb": "0000000000000000", "NoNewPrivs": "1", "Seccomp": "2",
	}
	for _, mode := range servedModes {
		t.Run(mode, func(t *testing.T) {
			agent := startAgent(t, "--mode", mode)
			all, begin := startLoaders(t, agent.socket, 3, 1)
			begin()
			for _, l := range all {
				l.wait(t)
			}
			wantEach(t, agent, want)
			next := &serving{t: t, socket: agent.socket}
			next.start("--mode", mode, "--upgrade")
			if err := agent.cmd.Wait(); err != nil {
				t.Errorf("the old agent ended with %v:\n%s", err, agent.log)
			}
			wantEach(t, next, want)
			wantName(t, next)
		})
	}
}

// TestAgentHelpers: memory that does not answer is read by processes that the agent
// starts, confined like it.
func TestAgentHelpers(t *testing.T) {
	ours, err := confine.Of(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	attack := attackIn(t, "native", "m64")[0]
	agent := startAgent(t, "--mode", "forward")
	c := newContainer(t, runtimes[0], false, attack)
	c.spec.Linux.Namespaces = slices.DeleteFunc(c.spec.Linux.Namespaces, func(n specs.LinuxNamespace) bool {
		return n.Type == specs.PIDNamespace // it looks at its parent
	})
	c.notify(agent.socket, "", "landlock_restrict_self")
	if out := c.run("/attack-m64", "hostile", "count=3", "ms=100"); !strings.Contains(out, "wrong=0\n") {
		t.Errorf("the good caller beside hostile ones: %s", out)
	}
	agent.log.await(t, "does not answer")
	most := fmt.Sprintf("%016x", ours.Permitted&kept)
	want := map[string]string{"CapPrm": most, "CapEff": most, "NoNewPrivs": "1", "Seccomp": "2"}
	if wantEach(t, agent, want) < 2 {
		t.Errorf("there is no helper:\n%s", agent.log)
	}
}

// wantEach compares lines of every thread's status, of the agent and its children, and
// tells how many processes these are.
func wantEach(t *testing.T, agent *serving, want map[string]string) int {
	t.Helper()
	pid := strconv.Itoa(agent.cmd.Process.Pid)
	pids := []string{pid}
	children, err := filepath.Glob("/proc/" + pid + "/task/*/children")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range children {
		text, _ := os.ReadFile(file) // a thread that has ended has none
		pids = append(pids, strings.Fields(string(text))...)
	}
	threads := 0
	for _, pid := range pids {
		files, _ := filepath.Glob("/proc/" + pid + "/task/*/status")
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				continue // it has ended
			}
			threads++
			for line := range strings.Lines(string(text)) {
				key, value, _ := strings.Cut(strings.TrimSpace(line), ":\t")
				if wanted, is := want[key]; is && value != wanted {
					t.Errorf("%s: %s is %s, want %s", file, key, value, wanted)
				}
			}
		}
	}
	if threads < 3 {
		t.Errorf("%d threads were seen of an agent", threads)
	}
	return len(pids)
}

// wantName: the agent executes itself by /proc/self/exe, but is not called "exe".
func wantName(t *testing.T, agent *serving) {
	t.Helper()
	if name := strings.TrimSpace(readFile(t, fmt.Sprintf("/proc/%d/comm", agent.cmd.Process.Pid))); name != "pidfd-shim" {
		t.Errorf("the agent is called %q", name)
	}
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestAgentNeedsEachCapability takes one capability after the other away: the agent says
// what will not work, and that does not work, where it does with all of them.
func TestAgentNeedsEachCapability(t *testing.T) {
	truth := buildTruth(t, "truth", "m64")
	for _, row := range []struct {
		lacks, as   string
		shim, older string // what to pretend
		mode, row   string
		same        bool // it is for a case that no row has
	}{
		{"kill", "CAP_KILL", buildShim(t), "", "emulate", "fds/fd=pidfd/sig=0/flags=0/info=NULL", false},
		{"sys_ptrace", "CAP_SYS_PTRACE", buildShim(t), "", "forward", "fds/fd=parent-procdir/sig=34/info=SI_QUEUE", false},
		// Without pidfd_getfd descriptors are opened in /proc/TID/fd, which is their owner's.
		{"dac_read_search", "CAP_DAC_READ_SEARCH", buildTestShim(t), "nogetfd", "caller", "fds/fd=parent-procdir/sig=34/info=SI_QUEUE", false},
		{"sys_admin", "CAP_SYS_ADMIN", buildShim(t), "", "forward", "fds/fd=parent-procdir/sig=34/info=SI_QUEUE", true},
	} {
		t.Run(row.as, func(t *testing.T) {
			// As a user: to root, and to who is in a namespace that root made, root needs less.
			result := func(agent *serving) string {
				c := newContainer(t, runtimes[0], false, truth)
				c.spec.Process.User = specs.User{UID: 1000, GID: 1000}
				if agent != nil {
					c.notify(agent.socket, "", "landlock_restrict_self")
				}
				rows := c.rows("/truth-m64", "--row", row.row)
				if len(rows) != 1 {
					t.Fatalf("%d rows are %s", len(rows), row.row)
				}
				return rows[0].line
			}
			flags := []string{"--mode", row.mode}
			if row.older != "" {
				flags = append(flags, "--pretend", row.older)
			}
			native := result(nil)
			whole := &serving{t: t, socket: filepath.Join(shortDir(t), "agent.sock"), shim: row.shim}
			whole.start(flags...)
			if got := result(whole); got != native || whole.log.count("lacks privileges") > 0 {
				t.Errorf("with all capabilities: %s, natively %s\n%s", got, native, whole.log)
			}
			lacking := &serving{
				t: t, socket: filepath.Join(shortDir(t), "agent.sock"), shim: setPriv(t, row.shim, "--bounding-set", "-"+row.lacks),
			}
			lacking.start(flags...)
			if got := result(lacking); (got == native) != row.same {
				t.Errorf("without %s: %s, natively %s", row.as, got, native)
			}
			lacking.log.await(t, "level=WARN", "lacks privileges", "missing="+row.as, "so=")
			if n := lacking.log.count("level=WARN", "lacks privileges"); n != 1 {
				t.Errorf("said %d times:\n%s", n, lacking.log)
			}
		})
	}
}

// setPriv is a program that executes another by setpriv(1).
func setPriv(t *testing.T, program string, words ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "setpriv")
	text := fmt.Sprintf("#!/bin/sh\nexec setpriv %s %s \"$@\"\n", strings.Join(words, " "), program)
	if err := os.WriteFile(file, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestAgentOfNobody: without any privilege there is an agent, which is confined and says
// in one line what it lacks.
func TestAgentOfNobody(t *testing.T) {
	dir := shortDir(t)
	shim := filepath.Join(dir, "pidfd-shim") // where everybody may get at it
	copyProgram(t, buildShim(t), shim)
	sockets := filepath.Join(dir, "sockets")
	for _, err := range []error{os.Chmod(dir, 0o755), os.Mkdir(sockets, 0o700), os.Chown(sockets, 65534, 65534)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	s := &serving{
		t: t, socket: filepath.Join(sockets, "agent.sock"),
		shim: setPriv(t, shim, "--reuid", "65534", "--regid", "65534", "--clear-groups"),
	}
	s.start()
	s.log.await(t, "level=WARN", "lacks privileges", `missing="CAP_KILL CAP_SYS_PTRACE CAP_DAC_READ_SEARCH CAP_SYS_ADMIN"`)
	wantEach(t, s, map[string]string{
		"CapPrm": "0000000000000000", "CapEff": "0000000000000000", "NoNewPrivs": "1", "Seccomp": "2", "Uid": "65534\t65534\t65534\t65534",
	})
	wantName(t, s)
}

func copyProgram(t *testing.T, from, to string) {
	t.Helper()
	source, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	file, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := io.Copy(file, source); err != nil {
		t.Fatal(err)
	}
}

// TestAgentKeepsPrivileges: --keep-privileges is for files that root alone could write,
// and an agent without it says so.
func TestAgentKeepsPrivileges(t *testing.T) {
	ours, err := confine.Of(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	dir := shortDir(t)
	if err := os.Chown(dir, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	lines := filepath.Join(dir, "audit.jsonl")
	out, err := exec.Command(buildShim(t), "serve", "--socket", filepath.Join(shortDir(t), "a"), "--audit", lines).CombinedOutput()
	if text := string(out); err == nil || strings.Count(text, "\n") != 1 || !strings.Contains(text, "permission denied") || !strings.Contains(text, "--keep-privileges") {
		t.Errorf("%v: %s", err, text)
	}
	agent := startAgent(t, "--keep-privileges", "--audit", lines)
	all := fmt.Sprintf("%016x", ours.Permitted)
	wantEach(t, agent, map[string]string{"CapPrm": all, "CapEff": all, "NoNewPrivs": "0", "Seccomp": strconv.Itoa(modeOf(t))})
}

// TestAgentReadsOthersPolicies: a policy that only another user may read is read, also
// when it has changed.
func TestAgentReadsOthersPolicies(t *testing.T) {
	dir, made := t.TempDir(), t.TempDir()
	give := func(text string) {
		writePolicy(t, made, "web", text)
		file := filepath.Join(made, "web.yaml")
		if err := errors.Join(os.Chown(file, 65534, 65534), os.Rename(file, filepath.Join(dir, "web.yaml"))); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Chown(dir, 65534, 65534), os.Chmod(dir, 0o700)); err != nil {
		t.Fatal(err)
	}
	give(denyAll)
	agent := startAgent(t, "--policy-dir", dir)
	give(allowAll)
	if err := agent.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	agent.log.await(t, "policy reloaded", "web")
	l, begin := agent.load(t, "policy=web")
	begin()
	l.expect(t, "another's policy", 0)
}

// modeOf is the seccomp mode of this very process.
func modeOf(t *testing.T) (mode int) {
	t.Helper()
	for line := range strings.Lines(readFile(t, "/proc/self/status")) {
		_, _ = fmt.Sscanf(line, "Seccomp:\t%d", &mode)
	}
	return mode
}

// TestDoctorSeesAgent asks a running agent, confined or not, what it may do.
func TestDoctorSeesAgent(t *testing.T) {
	for flag, want := range map[string]bool{"--keep-privileges=false": true, "--keep-privileges": false} {
		agent := startAgent(t, flag)
		control := agent.socket + ".control"
		out, err := exec.Command(buildShim(t), "doctor", "--json", "--control", control).Output()
		if err != nil {
			t.Fatalf("doctor: %v %s", err, out)
		}
		var r struct {
			Agent struct {
				Pid          int      `json:"pid"`
				Threads      int      `json:"threads"`
				Capabilities []string `json:"capabilities"`
				Confined     bool     `json:"confined"`
			} `json:"agent"`
		}
		if err := json.Unmarshal(out, &r); err != nil {
			t.Fatal(err)
		}
		if a := r.Agent; a.Pid != agent.cmd.Process.Pid || a.Threads < 2 || a.Confined != want || (len(a.Capabilities) <= 3) != want {
			t.Errorf("%s: %+v", flag, a)
		}
		text, err := exec.Command(buildShim(t), "doctor", "--control", control).Output()
		if said := strings.Contains(string(text), "it is confined"); err != nil || said != want {
			t.Errorf("%s: %v:\n%s", flag, err, text)
		}
	}
}

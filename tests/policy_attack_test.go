package tests

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// What a policy denies must not happen, whatever the program inside does: the attacks of
// THREATS on a process that a policy guards, each with the number of attempts and none
// that got through. A denial is EACCES, which the kernel itself never says here, so that
// no other errno is taken for one.

// guardedUID is who the guarded process is.
const guardedUID = 4242

// guardedModes are the ways in which a policy is a boundary: modes of the notify backend,
// and the ptrace backend.
var guardedModes = []string{"auto", "forward", "caller", "emulate", "ptrace"}

// guardedPolicies guard one process by different facts.
var guardedPolicies = map[string]string{
	"uid":      "default: allow\nrules:\n  - {name: guard, action: deny, match: {target: {uid: [4242]}}}\n",
	"pid":      "default: allow\nrules:\n  - {name: guard, action: deny, match: {target: {pid: [VICTIM]}}}\n",
	"relation": "default: deny\nrules:\n  - {name: own, action: allow, match: {target: {relation: [self, descendant, sandbox]}}}\n",
}

// eachGuarded runs an attack in every mode and width, under one of the policies in turn.
func eachGuarded(t *testing.T, attack func(t *testing.T, mode, width, policy string)) {
	t.Helper()
	names := []string{"uid", "pid", "relation"}
	for i, mode := range guardedModes {
		for j, width := range widths {
			policy := names[(i+j)%len(names)]
			t.Run(mode+"/"+width+"/"+policy, func(t *testing.T) { attack(t, mode, width, guardedPolicies[policy]) })
		}
	}
}

// guardedProcess is outside the sandbox, with every signal blocked: what reaches it stays
// pending, stops it or ends it.
type guardedProcess struct {
	pid, tid int
	pidfd    *os.File
}

func startGuarded(t *testing.T) *guardedProcess {
	t.Helper()
	mustBuildDir(t)
	bin, err := attackOnce["m64"]()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), bin, "guarded")
	opened, err := os.Open(bin) // a path that its uid may not walk
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	cmd.Path, cmd.ExtraFiles = "/proc/self/fd/3", []*os.File{opened}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: guardedUID, Gid: guardedUID}}
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	g := &guardedProcess{pid: cmd.Process.Pid}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if _, scanErr := fmt.Sscanf(line, "tid=%d", &g.tid); err != nil || scanErr != nil {
		t.Fatalf("the guarded process says %q, %v", line, err)
	}
	fd, err := unix.PidfdOpen(g.pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	g.pidfd = os.NewFile(uintptr(fd), "guarded")
	t.Cleanup(func() { _ = g.pidfd.Close() })
	return g
}

// untouched fails the test if anything has reached the process.
func (g *guardedProcess) untouched(t *testing.T) {
	t.Helper()
	for _, tid := range []int{g.pid, g.tid} {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/status", g.pid, tid))
		if err != nil {
			t.Errorf("HIT: the guarded process is gone: %v", err)
			return
		}
		for line := range strings.Lines(string(text)) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), ":\t")
			if (name == "SigPnd" || name == "ShdPnd") && strings.Trim(value, "0") != "" || name == "State" && strings.ContainsAny(value[:1], "TZX") {
				t.Errorf("HIT: the guarded process, thread %d: %s", tid, line)
			}
		}
	}
}

// policyFile writes a policy on all calls.
func policyFile(t *testing.T, g *guardedProcess, policy string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "policy.yaml")
	text := "version: 1\nsyscalls: all\nerrno: EACCES\n" + strings.ReplaceAll(policy, "VICTIM", strconv.Itoa(g.pid))
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// underPolicy is the command line of an attack under a policy.
func underPolicy(t *testing.T, mode, width, file string, words ...string) []string {
	t.Helper()
	argv := attackIn(t, "native", width, words...)
	how := []string{"--mode", mode}
	if mode == "ptrace" {
		how = []string{"--backend", "ptrace"}
	}
	return slices.Concat([]string{buildShim(t), "run", "--log-level", "error", "--policy", file}, how, []string{"--"}, argv)
}

// attackGuarded runs one attack on a guarded process of its own. All attempts must have
// been denied, in so many words, and all that may be done must have been done.
func attackGuarded(t *testing.T, mode, width, policy string, least int, words ...string) map[string]int {
	t.Helper()
	g := startGuarded(t)
	words = append(words, "victim="+strconv.Itoa(g.pid), "tid="+strconv.Itoa(g.tid))
	argv := underPolicy(t, mode, width, policyFile(t, g, policy), words...)
	got := attackNumbers(t, argv, g.pidfd)
	expect(t, argv, got, map[string]int{"through": 0})
	if got["attempts"] < least {
		t.Errorf("%d attempts, want at least %d", got["attempts"], least)
	}
	g.untouched(t)
	t.Logf("%d attempts, %d got through; %v", got["attempts"], got["through"], got)
	return got
}

// TestGuardedEveryWay: six calls, by syscall, int $0x80, x32 numbers and a far jump to
// 32-bit code.
func TestGuardedEveryWay(t *testing.T) {
	eachGuarded(t, func(t *testing.T, mode, width, policy string) {
		got := attackGuarded(t, mode, width, policy, 90, "every-way")
		ways := map[string]int{"m64": 3, "m32": 2}[width]
		if got["ways"] < ways || got["odd"] != 0 || got["refused"] != 0 {
			t.Errorf("%v: want %d ways, nothing odd, no friend refused", got, ways)
		}
	})
}

// TestGuardedHelpers: a static program of the other width, and a set-uid one.
func TestGuardedHelpers(t *testing.T) {
	eachGuarded(t, func(t *testing.T, mode, width, policy string) {
		other := map[string]string{"m64": "m32", "m32": "m64"}[width]
		for uid, helper := range map[int]string{0: other, 65534: width} {
			got := attackGuarded(t, mode, width, policy, 90, "by-helper", "helper="+setUID(t, helper), "uid="+strconv.Itoa(uid))
			if got["odd"] != 0 || got["refused"] != 0 {
				t.Errorf("uid %d, helper %s: %v", uid, helper, got)
			}
		}
	})
}

// setUID copies the attack to where anybody can run it as root.
func setUID(t *testing.T, width string) string {
	t.Helper()
	path := copyTo(t, publicDir(t), attackIn(t, "native", width)[0])
	if err := os.Chmod(path, 0o755|os.ModeSetuid); err != nil {
		t.Fatal(err)
	}
	return path
}

// publicDir is a directory that every user can look into.
func publicDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "attack")
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func copyTo(t *testing.T, dir, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(dir, filepath.Base(path))
	if err := os.WriteFile(to, content, 0o755); err != nil {
		t.Fatal(err)
	}
	return to
}

// TestGuardedHanded: descriptors that were inherited, came through a socket, name a
// thread, are directories, or were opened again.
func TestGuardedHanded(t *testing.T) {
	eachGuarded(t, func(t *testing.T, mode, width, policy string) {
		got := attackGuarded(t, mode, width, policy, 100, "handed")
		// A thread's number is no group's: ESRCH for the group flag.
		if got["odd"] != 8 || got["refused"] != 0 || got["o_path"] != -int(unix.EBADF) || got["task_dir"] != -int(unix.EBADF) {
			t.Errorf("%v", got)
		}
	})
}

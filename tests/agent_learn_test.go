package tests

import (
	"bytes"
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A container's calls, for tests/calls/calls.c, and others that differ from one of them by the
// signal, the target, the call's siginfo or its value.
const (
	usualCalls = `kill child 10 9999 0 0
kill child 15 9999 0 0
pidfd_send_signal grandchild 12 9999 0 0
rt_sigqueueinfo self 34 -1 7 0
tgkill self 1 9999 0 0
`
	mutantCalls = `kill child 3 9999 0 0
kill grandchild 10 9999 0 0
pidfd_send_signal self 12 9999 0 0
pidfd_send_signal grandchild 12 -1 0 0
rt_sigqueueinfo self 34 -1 8 0
tgkill child 1 9999 0 0
`
	denyAllCalls = "version: 1\nsyscalls: all\ndefault: deny\n"
)

// TestContainerLearns runs a container under a policy that denies all and only says so, learns
// a policy of what was said, and puts that in force: what the container did before it may do
// still, and nothing else.
func TestContainerLearns(t *testing.T) {
	calls := buildCalls(t, "m64")
	for _, runtime := range runtimes {
		t.Run(runtime, func(t *testing.T) {
			c := newContainer(t, runtime, false, calls)
			dir := shortDir(t)
			audit, file := filepath.Join(dir, "audit.jsonl"), filepath.Join(dir, "app.yaml")
			replace(t, file, denyAllCalls)
			agent := startAgent(t, "--complain", "--policy-dir", dir, "--audit", audit)
			c.notify(agent.socket, "policy=app", "kill", "tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo")
			c.calls(usualCalls, "0")
			agent.log.await(t, "served until its end")
			agent.stop()

			agent.start("--policy-dir", dir)
			c.calls(usualCalls, "1")
			learnt, err := exec.Command(agent.shim, "policy", "learn", audit).Output()
			if err != nil {
				t.Fatalf("policy learn: %v", err)
			}
			replace(t, file, string(learnt))
			agent.log.await(t, "policy reloaded", "app")
			c.calls(usualCalls, "0")
			c.calls(mutantCalls, "1")
			if t.Failed() {
				t.Logf("learnt of\n%s\n%s", readFile(t, audit), learnt)
			}
		})
	}
}

// calls has each call of a list made in a new container, and wants the same errno of all.
func (c *container) calls(list, errno string) {
	c.t.Helper()
	c.write("/calls-m64")
	ctx, cancel := context.WithTimeout(c.t.Context(), runDeadline)
	defer cancel()
	cmd := c.commandContext(ctx, "run", "--bundle", c.dir, c.id)
	cmd.Stdin = strings.NewReader(list)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if want := strings.Repeat(errno+"\n", strings.Count(list, "\n")); err != nil || string(out) != want {
		c.t.Errorf("%s: %v %s\ncalls\n%scame to\n%swant %s of each", c.runtime, err, &stderr, list, out, errno)
	}
}

// signalsGroup has a great-grandchild signal the group that another leads, and tells how a
// member ended; and looks for a process that is not there.
const signalsGroup = `
import os, signal
signal.signal(15, signal.SIG_IGN)
def start(what):
    pid = os.fork()
    if pid == 0:
        what()
        os._exit(0)
    return pid
def leader():
    os.setsid()
    r, w = os.pipe()
    def member():
        signal.signal(15, signal.SIG_DFL)
        signal.alarm(30)
        os.write(w, b".")
        signal.pause()
    pid = start(member)
    os.read(r, 1)
    os.waitpid(start(lambda: os.waitpid(start(lambda: os.kill(0, 15)), 0)), 0)
    print(os.waitpid(pid, 0)[1], flush=True)
os.waitpid(start(leader), 0)
try:
    os.kill(99999999, 3)
except OSError as e:
    print(e.strerror)
`

// TestRunLearns records a command, and runs it again under what was learnt: it does and sees
// the same. That the leader stands for its group is on the line, under either policy.
func TestRunLearns(t *testing.T) {
	dir := t.TempDir()
	record, learnt, audit := filepath.Join(dir, "record.yaml"), filepath.Join(dir, "learnt.yaml"), filepath.Join(dir, "a.jsonl")
	shim := buildShim(t)
	replace(t, record, "version: 1\nsyscalls: all\n")
	for _, file := range []string{record, learnt} {
		o := program{argv: []string{shim, "run", "--policy", file, "--audit", audit, "--", "python3", "-c", signalsGroup}}.run(t)
		if o.status != 0 || o.output != "15\nNo such process\n" {
			t.Errorf("%s: status %d: %s", filepath.Base(file), o.status, o.output)
		}
		if out, err := exec.Command(shim, "policy", "learn", audit, "-o", learnt).CombinedOutput(); err != nil {
			t.Fatalf("policy learn: %v: %s", err, out)
		}
	}
	groups := 0
	for _, line := range auditLines(t, audit) {
		if target, _ := line["target"].(map[string]any); target != nil && line["signal"] == "SIGTERM" && target["comm"] == "python3" {
			groups++
		}
	}
	if groups != 2 {
		t.Errorf("%d lines name a group's leader:\n%s\n%s", groups, readFile(t, audit), readFile(t, learnt))
	}
}

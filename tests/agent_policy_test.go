package tests

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// policyDir is a directory of policies by name.
func policyDir(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		writePolicy(t, dir, name, text)
	}
	return dir
}

// writePolicy replaces a policy's file at once, as editors do.
func writePolicy(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name+".yaml")
	if err := os.WriteFile(path+".new", []byte("version: 1\nsyscalls: [pidfd_send_signal]\n"+text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

const (
	allowAll = "default: allow\n"
	denyAll  = "default: deny\nerrno: EACCES\n"
	// denyParent asks what only the target can tell. The loaders' callers signal their parent.
	denyParent  = "default: allow\nrules:\n  - name: parents\n    action: deny\n    match: {target: {relation: [parent]}}\n"
	onlySandbox = "default: deny\nrules:\n  - name: inside\n    action: allow\n    match: {target: {relation: [sandbox]}}\n"
)

// TestAgentPolicies serves containers by policies of their own, in each mode.
func TestAgentPolicies(t *testing.T) {
	dir := policyDir(t, map[string]string{"open": allowAll, "shut": denyAll, "parents": denyParent})
	for _, mode := range servedModes {
		t.Run(mode, func(t *testing.T) {
			agent := startAgent(t, "--mode", mode, "--policy-dir", dir, "--default-policy", "shut")
			for metadata, want := range map[string]unix.Errno{
				"": unix.EACCES, "policy=open": 0, "policy=shut": unix.EACCES, "policy=parents": unix.EPERM, "policy=other": unix.EPERM,
			} {
				l, begin := agent.load(t, metadata)
				begin()
				l.expect(t, metadata, want)
			}
		})
	}
}

// TestAgentReload changes a policy under a container that is being served, and then
// breaks its file: the last good one stays in force.
func TestAgentReload(t *testing.T) {
	dir := policyDir(t, map[string]string{"web": denyAll})
	agent := startAgent(t, "--policy-dir", dir)
	first, begin := agent.load(t, "policy=web")
	writePolicy(t, dir, "web", allowAll)
	agent.log.await(t, "policy reloaded", "web")
	begin()
	first.expect(t, "allowed while it was served", 0)

	second, begin := agent.load(t, "policy=web")
	writePolicy(t, dir, "web", "fallback: deny\n")
	agent.log.await(t, "stays as it was", "fallback")
	if err := agent.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	begin()
	second.expect(t, "a bad file", 0)

	third, begin := agent.load(t, "policy=web")
	writePolicy(t, dir, "web", denyParent)
	agent.log.awaitCount(t, 2, "policy reloaded", "web")
	begin()
	third.expect(t, "mutable facts after a policy without", unix.EPERM)
}

// TestContainerPolicy has a real container judged by what its own namespaces hide.
func TestContainerPolicy(t *testing.T) {
	const row = "fds/fd=pidfd/sig=SIGUSR1/flags=0/info=NULL/recv=sigwait"
	dir := policyDir(t, map[string]string{"shut": denyAll, "sandbox": onlySandbox, "parents": denyParent})
	truth := buildTruth(t, "truth", "m64")
	for _, runtime := range runtimes {
		for name, want := range map[string]string{"shut": "ret=-1 errno=EACCES", "sandbox": "ret=0 errno=0", "parents": "ret=0 errno=0"} {
			t.Run(runtime+"-"+name, func(t *testing.T) {
				agent := startAgent(t, "--policy-dir", dir)
				c := newContainer(t, runtime, false, truth)
				c.notify(agent.socket, "policy="+name)
				rows := c.rows("/truth-m64", "--row", row)
				if len(rows) != 1 || !strings.HasPrefix(rows[0].line, want) {
					t.Errorf("rows %v, want %s", rows, want)
				}
			})
		}
	}
}

// load is one container's worth of callers, served already; each calls once.
func (s *serving) load(t *testing.T, metadata string) (*loader, func()) {
	t.Helper()
	if metadata != "" {
		metadata += `\n`
	}
	before := s.log.count("msg=serving")
	all, begin := startLoadersWith(t, s.socket, metadata+"notifies=landlock_restrict_self", 1, 0)
	s.log.awaitCount(t, before+1, "msg=serving")
	return all[0], begin
}

// expect waits for the callers' end: each call came to want.
func (l *loader) expect(t *testing.T, what string, want unix.Errno) {
	t.Helper()
	l.wait(t)
	good := l.errors == 0
	if want != 0 {
		good = l.errors == l.calls && unix.Errno(l.errno) == want
	}
	if !good || l.calls == 0 {
		t.Errorf("%s: %+v, want each call to come to %s", what, l.loadResult, fmt.Sprintf("%d (%v)", int(want), want))
	}
}

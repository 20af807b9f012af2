package tests

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"

	"github.com/pidfd-shim/pidfd-shim/policy"
	"github.com/pidfd-shim/pidfd-shim/policy/oci"
	"github.com/pidfd-shim/pidfd-shim/tests/skip"
)

const servedPolicy = "version: 1\nsyscalls: all\nerrno: EACCES\n"

// serve is run for an agent: with nobody who keeps its listeners every policed call of a
// container is ENOSYS for good after its death, whatever the container does; with a keeper its
// successor judges on; and so it does when a helper of its dies alone.
func (d death) serve(t *testing.T, s *survival) toll {
	t.Helper()
	p := newPauser(t, shortDir(t))
	text := servedPolicy + guardedPolicies["uid"]
	flags := []string{"--mode", d.mode, "--policy-dir", servedPolicies(t, text), "--default-policy", "guard"}
	paused := append(flags, "--pause", d.step+":"+p.path)
	m := newManager(t)
	m.shim = buildTestShim(t)
	agent := &serving{t: t, shim: m.shim, socket: filepath.Join(shortDir(t), "agent.sock")}
	tasks := limited{}
	if d.how == "tasks" {
		tasks = limitTasks(t)
		agent.wrap = tasks.wrap
	}
	if d.backend == "serve" {
		agent.start(paused...)
	} else {
		m.start(paused...)
		agent = m.agent
	}
	words := append(d.words(), contained(t, agent, text)...)
	container := s.start(s.command(d.width, words...))
	release := d.await(p)
	tasks.allow(t, agent, 0)
	closed := false
	switch d.killed {
	case "hopper", "reader":
		d.strike(s, awaitChildNamed(t, agent.cmd.Process.Pid, "__"+d.killed), release)
	default:
		closed = d.strikeAgent(s, m, agent, release) && d.backend == "serve"
		if d.deadly() && d.backend == "kept" {
			m.start(flags...)
		}
	}
	got := s.end(closed)
	got.hung = s.hung + container.awaitEnd()
	s.noTrace(agent.log.String())
	return got
}

// strikeAgent is strike for the agent itself, whose helpers end with it and their call.
func (d death) strikeAgent(s *survival, m *manager, agent *serving, release func()) (closed bool) {
	victim := openProcess(s.t, agent.cmd.Process.Pid)
	if d.deadly() {
		if d.backend == "kept" {
			m.await("the listener to be kept", func() bool { return len(m.kept) == 1 })
		}
		for _, pid := range childrenOf(victim.pid) {
			defer func(p *process) { s.hung += p.awaitEnd() }(openProcess(s.t, pid))
		}
		defer func() { _ = agent.cmd.Wait() }()
	}
	return d.strike(s, victim, release)
}

// contained are words by which an attack becomes a container of an agent that has servedPolicies.
func contained(t *testing.T, agent *serving, text string) []string {
	t.Helper()
	return []string{"agent=" + agent.socket, "program=" + profileProgram(t, text, agent.socket), `metadata=policy=guard\nnotifies=landlock_restrict_self`}
}

// servedPolicies is a directory with the one policy.
func servedPolicies(t *testing.T, text string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "guard.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// profileProgram is the filter that a runtime makes of a policy's profile, in a file.
func profileProgram(t *testing.T, text, socket string) string {
	t.Helper()
	p, err := policy.Parse("guard.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	profile, _ := p.Profile(policy.ProfileOptions{Socket: socket, Metadata: "policy=guard"})
	program, _, err := oci.CompileProfile(profile)
	skip.If(t, err)
	var raw bytes.Buffer
	if err := binary.Write(&raw, binary.LittleEndian, program); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, raw.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

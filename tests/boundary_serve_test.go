package tests

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/pidfd-shim/pidfd-shim/notify/ptrace"
	"github.com/pidfd-shim/pidfd-shim/policy"
	"github.com/pidfd-shim/pidfd-shim/policy/oci"
	"github.com/pidfd-shim/pidfd-shim/tests/skip"
)

// TestBoundaryDeathServe is TestBoundaryDeath for an agent: with nobody who keeps its
// listeners every policed call of a container is ENOSYS for good, whatever the container does;
// with a keeper its successor judges on; and so it does when the hopper dies alone.
func TestBoundaryDeathServe(t *testing.T) {
	table := []string{"MODE/KILLED/STEP/WIDTH  attempts  through  hung"}
	sum := toll{}
	turn := 0
	for _, mode := range []string{"auto", "forward", "caller", "emulate"} {
		for _, killed := range []string{"agent", "kept-agent", "hopper"} {
			steps := callSteps
			if killed == "hopper" {
				steps = ptrace.Steps[:]
			}
			if killed == "hopper" && mode != "caller" {
				continue // auto has hops for some calls alone
			}
			for i, step := range steps {
				if !soaking && i != turn%len(steps) {
					continue
				}
				d := death{mode: mode, killed: killed, step: step, width: widths[(turn+i)/2%len(widths)]}
				name := fmt.Sprintf("%s/%s/%s/%s", d.mode, d.killed, d.step, d.width)
				t.Run(name, func(t *testing.T) {
					got := d.serve(t)
					table = append(table, fmt.Sprintf("%-45s %d  %d  %d", name, got.attempts, got.through, got.hung))
					sum.attempts, sum.through, sum.hung = sum.attempts+got.attempts, sum.through+got.through, sum.hung+got.hung
					if got.through != 0 || got.hung != 0 || got.attempts == 0 {
						t.Errorf("%+v", got)
					}
				})
			}
			turn++
		}
	}
	t.Logf("%s\nall: %d attempts, %d calls through, %d callers hung", strings.Join(table, "\n"), sum.attempts, sum.through, sum.hung)
}

const servedPolicy = "version: 1\nsyscalls: all\nerrno: EACCES\n"

func (d death) serve(t *testing.T) toll {
	t.Helper()
	s, p := newSurvival(t), newPauser(t, shortDir(t))
	text := servedPolicy + guardedPolicies["uid"]
	flags := []string{"--mode", d.mode, "--policy-dir", servedPolicies(t, text), "--default-policy", "guard"}
	paused := append(flags, "--pause", d.step+":"+p.path)
	m := newManager(t)
	m.shim = buildTestShim(t)
	agent := &serving{t: t, shim: m.shim, socket: filepath.Join(shortDir(t), "agent.sock")}
	if d.killed == "agent" {
		agent.start(paused...)
	} else {
		m.start(paused...)
		agent = m.agent
	}
	container := s.start(s.command(d.width, "agent="+agent.socket, "program="+profileProgram(t, text, agent.socket), "metadata=policy=guard"))
	conn := p.wait()
	switch d.killed {
	case "hopper":
		hopper := openProcess(t, openHopper(t, agent.cmd.Process.Pid).pid)
		hopper.kill()
		s.hung += hopper.awaitEnd()
	case "kept-agent":
		m.await("the listener to be kept", func() bool { return len(m.kept) == 1 })
		m.kill()
		m.start(flags...)
	default:
		for _, pid := range childrenOf(agent.cmd.Process.Pid) { // those end with it, and with their call
			defer func(p *process) { s.hung += p.awaitEnd() }(openProcess(t, pid))
		}
		_ = agent.cmd.Process.Signal(syscall.SIGKILL)
		_ = agent.cmd.Wait()
	}
	_ = conn.Close()
	got := s.end(d.killed == "agent")
	got.hung = s.hung + container.awaitEnd()
	return got
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

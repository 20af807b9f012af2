package tests

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestAgentIsKilled kills the agent again and again while containers send signals: no call
// fails, no caller dies, no signal comes twice, and as many are lost at most as the agents
// say that they could not know about: none where the caller itself sends, in mode caller and
// under a policy that asks what can change.
func TestAgentIsKilled(t *testing.T) {
	asks := []string{"--mode", "auto", "--policy-dir", policyDir(t, map[string]string{"parents": denyParent}), "--default-policy", "parents"}
	for _, row := range []struct {
		name, load string
		kills      int
		flags      []string
		exact      bool
	}{
		{"forward", "--queue", soak(100, 1000), []string{"--mode", "forward"}, false},
		{"emulate", "--queue", soak(15, 300), []string{"--mode", "emulate"}, false},
		{"auto", "--queue", soak(15, 300), []string{"--mode", "auto"}, false},
		{"caller", "--queue", soak(30, 300), []string{"--mode", "caller"}, true},
		{"policy", "--plain", soak(30, 300), asks, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			m := newManager(t)
			m.start(row.flags...)
			const containers = 4
			all, begin := startLoadersAs(t, m.socket, "notifies=landlock_restrict_self", containers, row.load, "4", "-1")
			m.await("listeners to be kept", func() bool { return len(m.kept) == containers })
			begin()
			found := remains{}
			for round := range row.kills {
				m.progress(1 + round%7)
				m.kill()
				m.start(row.flags...)
				m.agent.log.await(t, "msg=ready") // after whose listeners it serves on
				found.add(t, m.agent.log)
			}
			for _, l := range all {
				_ = l.cmd.Process.Signal(syscall.SIGUSR1)
			}
			sum := loadResult{}
			for _, l := range all {
				l.wait(t)
				sum.calls, sum.errors, sum.got, sum.doubled = sum.calls+l.calls, sum.errors+l.errors, sum.got+l.got, sum.doubled+l.doubled
				if l.errors > 0 || l.died > 0 {
					t.Errorf("calls or callers failed: %+v", l.loadResult)
				}
			}
			lost := sum.calls - sum.got
			t.Logf("%s, killed %d times: %d calls answered, %d signals came, %d twice, %d lost; found by successors: %+v",
				row.name, row.kills, sum.calls, sum.got, sum.doubled, lost, found)
			if sum.doubled > 0 || lost > found.unknown || lost < 0 || row.exact && found.unknown > 0 {
				t.Errorf("%d signals came twice; %d are lost, %d may be", sum.doubled, lost, found.unknown)
			}
			m.await("listeners to be forgotten", func() bool { return len(m.kept) == 0 })
		})
	}
}

// remains are the calls that successors found.
type remains struct{ unserved, sent, unknown, handed int }

func (r *remains) add(t *testing.T, log *watchedLog) {
	t.Helper()
	for line := range strings.Lines(log.String()) {
		at := strings.Index(line, "unserved=")
		if at < 0 {
			continue
		}
		var one remains
		if _, err := fmt.Sscanf(line[at:], "unserved=%d sent=%d unknown=%d handed=%d", &one.unserved, &one.sent, &one.unknown, &one.handed); err != nil {
			t.Errorf("%q: %v", line, err)
		}
		r.unserved, r.sent, r.unknown, r.handed = r.unserved+one.unserved, r.sent+one.sent, r.unknown+one.unknown, r.handed+one.handed
	}
}

// progress waits until this agent has answered n calls of each container.
func (m *manager) progress(n int) {
	m.t.Helper()
	for end := time.Now().Add(agentDeadline); ; runtime.Gosched() {
		_, text := get(m.t, m.control(), "/containers")
		var list []struct{ Calls int }
		if err := json.Unmarshal([]byte(text), &list); err != nil {
			m.t.Fatal(err)
		}
		done := true
		for _, c := range list {
			done = done && c.Calls >= n
		}
		if done {
			return
		}
		if time.Now().After(end) {
			m.t.Fatalf("no progress: %s\n%s", text, m.agent.log)
		}
	}
}

// TestAgentRestarts stops the agent as systemctl restart does, and watches the watchdog.
func TestAgentRestarts(t *testing.T) {
	m := newManager(t)
	m.start()
	all, begin := startLoadersAs(t, m.socket, "notifies=landlock_restrict_self", 2, "--queue", "4", "-1")
	m.await("listeners to be kept", func() bool { return len(m.kept) == 2 })
	begin()
	for range soak(5, 100) {
		m.progress(3)
		m.agent.stop()
		m.start()
	}
	m.progress(1)
	for _, l := range all {
		_ = l.cmd.Process.Signal(syscall.SIGUSR1)
	}
	for _, l := range all {
		l.wait(t)
		if l.errors > 0 || l.got != l.calls || l.doubled > 0 {
			t.Errorf("%+v", l.loadResult)
		}
	}
}

// TestAgentUpgrade replaces a running agent without anybody who keeps descriptors.
func TestAgentUpgrade(t *testing.T) {
	agent := startAgent(t)
	all, begin := startLoadersAs(t, agent.socket, "notifies=landlock_restrict_self", 3, "--queue", "4", "-1")
	agent.log.awaitCount(t, 3, "msg=serving")
	begin()
	for range soak(5, 100) {
		next := &serving{t: t, socket: agent.socket}
		next.start("--upgrade")
		if err := agent.cmd.Wait(); err != nil {
			t.Errorf("the old agent ended with %v:\n%s", err, agent.log)
		}
		agent = next
	}
	if out, err := exec.Command(buildShim(t), "serve", "--upgrade", "--socket", filepath.Join(t.TempDir(), "nobody")).CombinedOutput(); err == nil {
		t.Errorf("an upgrade of nobody: %s", out)
	}
	late, beginLate := agent.load(t, "") // by the socket that was handed on
	beginLate()
	late.expect(t, "after it", 0)
	for _, l := range all {
		_ = l.cmd.Process.Signal(syscall.SIGUSR1)
	}
	for _, l := range all {
		l.wait(t)
		if l.errors > 0 || l.got != l.calls || l.doubled > 0 {
			t.Errorf("%+v", l.loadResult)
		}
	}
	agent.stop()
	if left, _ := filepath.Glob(agent.socket + "*"); len(left) > 0 {
		t.Errorf("%v is left", left)
	}
}

// TestBadPolicyIsItsOwn has one file that is no policy while the agent crashes again and again
// and is restarted, and containers call all the time: the one that asks for it is denied, and the
// others' calls all come, none of them after 2 seconds (of a host that has time: make soak).
func TestBadPolicyIsItsOwn(t *testing.T) {
	const longest = 2_000_000
	m := newManager(t)
	flags := []string{"--policy-dir", policyDir(t, map[string]string{"good": denyParent, "bad": "rules: ["})}
	m.start(flags...)
	good, beginGood := startLoadersAs(t, m.socket, `policy=good\nnotifies=landlock_restrict_self`, 2, "--queue", "4", "-1")
	bad, beginBad := startLoadersAs(t, m.socket, `policy=bad\nnotifies=landlock_restrict_self`, 1, "--queue", "4", "-1")
	m.await("listeners to be kept", func() bool { return len(m.kept) == 3 })
	beginGood()
	beginBad()
	found := remains{}
	for round := range soak(5, 100) {
		m.progress(2)
		if round%5 == 4 {
			m.agent.stop()
		} else {
			m.kill()
		}
		m.start(flags...)
		m.agent.log.await(t, "msg=ready")
		found.add(t, m.agent.log)
	}
	m.progress(1)
	for _, l := range append(good, bad...) {
		_ = l.cmd.Process.Signal(syscall.SIGUSR1)
	}
	for _, l := range good {
		l.wait(t)
		t.Logf("%+v", l.loadResult)
		if l.errors > 0 || l.died > 0 || l.doubled > 0 || l.calls-l.got > found.unknown || l.slowest > soak(30*longest, longest) {
			t.Errorf("%+v; %+v", l.loadResult, found)
		}
	}
	bad[0].expect(t, "the container of the bad policy", unix.EPERM)
}

package tests

import (
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// TestServeComplain has containers ask for policies that deny them, that do not exist, that
// cannot be read, and in words that cannot: each call is let pass, and everybody who looks
// is told what would have become of it.
func TestServeComplain(t *testing.T) {
	policies := policyDir(t, map[string]string{"shut": denyAll, "parents": denyParent, "bad": "fallback: deny\n", "open": allowAll})
	for _, mode := range servedModes {
		t.Run(mode, func(t *testing.T) {
			dir := shortDir(t)
			metrics, audit := filepath.Join(dir, "metrics"), filepath.Join(dir, "audit.jsonl")
			agent := startAgent(t, "--complain", "--mode", mode, "--policy-dir", policies, "--default-policy", "none",
				"--metrics", "unix:"+metrics, "--audit", audit)
			want := map[string]int{}
			for _, row := range []struct{ metadata, verdict string }{
				{"policy=shut", "log default"},
				{"policy=parents", "log parents"},
				{"policy=bad", "log default"},
				{"policy=other", "log default"},
				{"policy=../shut", "log default"},
				{"", "log default"},
				{"policy=open", "allow default"},
			} {
				l, begin := agent.load(t, row.metadata)
				begin()
				l.expect(t, row.metadata, 0)
				want[row.verdict] += callersEach
			}
			agent.log.awaitCount(t, 7, "served until its end")
			families := scrape(t, metrics)
			for verdict, n := range map[string]int{"log": 6 * callersEach, "allow": callersEach, "deny": 0} {
				if got := counted(families, "pidfd_shim_calls_total", "verdict="+verdict); got != n {
					t.Errorf("%d calls are counted as %s, want %d", got, verdict, n)
				}
			}
			agent.stop()
			got := map[string]int{}
			for _, line := range auditLines(t, audit) {
				rule, _ := line["rule"].(string)
				got[line["verdict"].(string)+" "+rule]++
			}
			for verdict, n := range want {
				if got[verdict] != n || len(got) != len(want) {
					t.Errorf("the audit has %v, want %v", got, want)
					break
				}
			}
		})
	}
}

// TestComplainIsListed looks at a container while its calls are let pass.
func TestComplainIsListed(t *testing.T) {
	agent := startAgent(t, "--complain")
	all, begin := startLoadersAs(t, agent.socket, "policy=other", 1, "1", "-1")
	agent.log.await(t, "msg=serving")
	begin()
	for end := time.Now().Add(agentDeadline); ; runtime.Gosched() {
		listed := listContainers(t, agent)
		if len(listed) != 1 || listed[0]["denied"] != 0.0 || time.Now().After(end) {
			t.Fatalf("ps lists %v, want calls that are logged and none that is denied", listed)
		}
		if n, _ := listed[0]["logged"].(float64); n > 0 {
			break
		}
	}
	if err := all[0].cmd.Process.Signal(syscall.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	all[0].expect(t, "a policy that does not exist", 0)
}

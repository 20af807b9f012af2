package tests

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// holdings are what an agent and its helpers have.
type holdings struct{ descriptors, threads, memory int }

func (s *serving) holdings() (sum holdings) {
	pid := s.cmd.Process.Pid
	for _, p := range append(childrenOf(pid), pid) {
		fds, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p))
		tasks, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", p))
		sum.descriptors += len(fds)
		sum.threads += len(tasks)
		sum.memory += residentOf(s.t, p)
	}
	return sum
}

func residentOf(t *testing.T, pid int) (bytes int) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0 // a helper that has ended
	}
	var size, resident int
	if _, err := fmt.Sscan(string(text), &size, &resident); err != nil {
		t.Error(err)
	}
	return resident * os.Getpagesize()
}

// TestAgentForgets has containers come and go: of one that has ended, and of its callers,
// nothing stays. 10,000 containers under make soak.
func TestAgentForgets(t *testing.T) {
	const callers, slackMemory, slackThreads, slackDescriptors = "6", 4 << 20, 6, 12
	load, n := buildLoad(t), soak(60, 5000)
	for _, mode := range []string{"forward", "caller"} {
		t.Run(mode, func(t *testing.T) {
			agent := startAgent(t, "--mode", mode)
			ended := 0
			come := func(n int) holdings {
				for i := range n {
					out, err := exec.Command(load, "--agent", agent.socket, fmt.Sprintf("short-%d", i), "", callers, "0").CombinedOutput()
					if err != nil || !strings.Contains(string(out), "calls="+callers+" least=1 errors=0 ") {
						t.Fatalf("a container's calls: %v\n%s", err, out)
					}
				}
				ended += n
				agent.log.awaitCount(t, ended, "served until its end")
				return agent.holdings()
			}
			before, after := come(n), come(n)
			// The last container is let go of right after it was said to have ended, and the
			// threads that were needed at once end later.
			for deadline := time.Now().Add(agentDeadline); after.descriptors > before.descriptors+slackDescriptors ||
				after.threads > before.threads+slackThreads || after.memory > before.memory+slackMemory; after = agent.holdings() {
				if time.Now().After(deadline) {
					t.Fatalf("after %d containers of %s callers: %+v, after %d: %+v", n, callers, before, 2*n, after)
				}
				time.Sleep(10 * time.Millisecond) //nolint:forbidigo // nothing tells of the end of a thread of another process
			}
			t.Logf("after %d containers of %s callers: %+v, after %d: %+v", n, callers, before, 2*n, after)
		})
	}
}

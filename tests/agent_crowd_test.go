package tests

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestAgentBesideHostile: two containers whose callers hand in memory that never answers beside
// a good one, under an agent that may have hardly more tasks than it has. The good one's calls
// are all answered, the agent answers whoever looks at it and does not grow, and its death ends
// everybody's wait.
func TestAgentBesideHostile(t *testing.T) {
	metrics := filepath.Join(shortDir(t), "metrics")
	tasks := limitTasks(t)
	agent := &serving{t: t, socket: filepath.Join(shortDir(t), "agent.sock"), wrap: tasks.wrap}
	agent.start("--mode", "forward", "--metrics", "unix:"+metrics)
	good, begin := startLoaders(t, agent.socket, 3, soak(3, 60)) // two are beside the hostile ones in their containers
	bad, beginBad := startLoadersAs(t, agent.socket, "notifies=landlock_restrict_self", 2, "--silent", "32", "0")
	agent.log.awaitCount(t, 5, "msg=serving")
	pid := agent.cmd.Process.Pid
	tasks.allow(t, agent, 40) // two helpers and the runtime's whim
	threads, memory := tasksOf(pid), rssOf(t, pid)
	beginBad()
	agent.log.await(t, "does not answer")
	begin()
	if n := counted(scrape(t, metrics), "pidfd_shim_listeners"); n != 5 {
		t.Errorf("%d listeners, want 5", n)
	}
	if listed := listContainers(t, agent); len(listed) != 3 {
		t.Errorf("ps lists %v", listed)
	}
	for _, l := range good {
		l.wait(t)
		if l.errors > 0 || l.least == 0 {
			t.Errorf("good callers: %+v", l.loadResult)
		}
	}
	more, grown := tasksOf(pid)-threads, (rssOf(t, pid)-memory)>>10
	t.Logf("beside 2x32 hostile callers %d calls of the good container answered, the worst after %d us; %d threads and %d more, %d KiB more",
		good[2].calls, good[2].slowest, threads, more, grown)
	if more > 4 || grown > 16<<10 {
		t.Errorf("the agent grew: %d threads and %d KiB more", more, grown)
	}
	_ = agent.cmd.Process.Signal(syscall.SIGKILL)
	_ = agent.cmd.Wait()
	for _, l := range bad { // nobody holds their listeners
		l.wait(t)
		if r := l.loadResult; r.errors != 32 || r.errno != int(unix.ENOSYS) {
			t.Errorf("after the agent's death: %+v", r)
		}
	}
}

// tasksOf counts a process's threads.
func tasksOf(pid int) int {
	entries, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	return len(entries)
}

// limitTasks prepares a control group for the agent: RLIMIT_NPROC does not hold root.
func limitTasks(t *testing.T) limited {
	t.Helper()
	for _, root := range []string{"/sys/fs/cgroup/pids", "/sys/fs/cgroup"} {
		dir := filepath.Join(root, fmt.Sprintf("pidfd-shim-test-%d", os.Getpid()))
		if _, err := os.Stat(filepath.Join(root, "cgroup.procs")); err != nil || os.Mkdir(dir, 0o755) != nil {
			continue
		}
		t.Cleanup(func() { _ = os.Remove(dir) }) // the agent has ended by then
		if _, err := os.Stat(filepath.Join(dir, "pids.max")); err == nil {
			return limited{wrap: []string{"sh", "-c", `echo $$ >"$0" && exec "$@"`, filepath.Join(dir, "cgroup.procs")}, dir: dir}
		}
	}
	t.Log("no controller of tasks here: the kernel sets no limit")
	return limited{}
}

// allow lets an agent have so many tasks more than it has.
func (l limited) allow(t *testing.T, s *serving, more int) {
	t.Helper()
	if l.dir == "" {
		return
	}
	now := numberIn(t, filepath.Join(l.dir, "pids.current"))
	if err := os.WriteFile(filepath.Join(l.dir, "pids.max"), []byte(strconv.Itoa(now+more)), 0o644); err != nil {
		s.t.Error(err)
	}
}

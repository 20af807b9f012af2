package tests

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// loader is one process tree of tests/container/load.c, as a container's.
type loader struct {
	cmd *exec.Cmd
	log *watchedLog
	loadResult
}

// loadResult is what its callers' calls came to.
type loadResult struct{ calls, least, errors, errno, slowest, got, doubled, died int }

const callersEach = 8

// startLoaders starts n containers' worth of callers under an agent, all of which begin
// when the returned function is called.
func startLoaders(t *testing.T, socket string, n, seconds int) ([]*loader, func()) {
	t.Helper()
	return startLoadersWith(t, socket, "notifies=landlock_restrict_self", n, seconds)
}

func startLoadersWith(t *testing.T, socket, metadata string, n, seconds int) ([]*loader, func()) {
	t.Helper()
	return startLoadersAs(t, socket, metadata, n, strconv.Itoa(callersEach), strconv.Itoa(seconds))
}

func startLoadersAs(t *testing.T, socket, metadata string, n int, words ...string) ([]*loader, func()) {
	t.Helper()
	return startLoadersOf(t, nil, socket, metadata, n, words...)
}

// startLoadersOf is with words about the filter before everything else.
func startLoadersOf(t *testing.T, filter []string, socket, metadata string, n int, words ...string) ([]*loader, func()) {
	t.Helper()
	bin := buildLoad(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var all []*loader
	for i := range n {
		l := &loader{log: newWatchedLog()}
		l.cmd = exec.Command(bin, slices.Concat(filter, []string{"--agent", socket, fmt.Sprintf("load-%d", i), metadata}, words)...)
		l.cmd.Stdin, l.cmd.Stdout = r, l.log.pipe(t)
		l.cmd.Stderr = l.cmd.Stdout
		if err := l.cmd.Start(); err != nil {
			t.Fatal(err)
		}
		_ = l.cmd.Stdout.(*os.File).Close()
		all = append(all, l)
	}
	for _, l := range all {
		l.log.await(t, "ready")
	}
	t.Cleanup(func() {
		w.Close()
		for _, l := range all {
			if l.cmd.ProcessState == nil {
				_ = l.cmd.Process.Kill()
				_ = l.cmd.Wait()
			}
		}
	})
	return all, func() { w.Close() }
}

var loadOnce = sync.OnceValues(func() (string, error) {
	bin, err := filepath.Abs(filepath.Join(buildDir, "container-load"))
	if err != nil {
		return "", err
	}
	out, err := exec.Command("gcc", "-static", "-O1", "-Wall", "-Wextra", "-Werror", "-o", bin, "container/load.c").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("gcc: %w\n%s", err, out)
	}
	return bin, nil
})

func buildLoad(t *testing.T) string {
	t.Helper()
	mustBuildDir(t)
	bin, err := loadOnce()
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

// wait reads the loader's line.
func (l *loader) wait(t *testing.T) {
	t.Helper()
	line := l.log.awaitFor(t, 5*time.Minute, "calls=")
	if err := l.cmd.Wait(); err != nil {
		t.Errorf("a loader ended with %v", err)
	}
	l.loadResult = readLoad(t, line)
}

func readLoad(t *testing.T, line string) (l loadResult) {
	t.Helper()
	if _, err := fmt.Sscanf(line, "calls=%d least=%d errors=%d errno=%d slowest_us=%d got=%d doubled=%d died=%d",
		&l.calls, &l.least, &l.errors, &l.errno, &l.slowest, &l.got, &l.doubled, &l.died); err != nil {
		t.Errorf("a loader printed %q: %v", line, err)
	}
	return l
}

// memoryLimit is what an agent of 200 containers may use.
const memoryLimit = 64 << 20

// TestAgentUnderLoad has many containers call as fast as they are answered: each call is
// answered, each caller has its turn, within the memory that the agent may have.
// 200 containers for a minute under make soak.
func TestAgentUnderLoad(t *testing.T) {
	containers, seconds := soak(60, 200), soak(3, 60)
	for _, mode := range []string{"auto", "forward", "caller", "emulate"} {
		t.Run(mode, func(t *testing.T) {
			limit := limitMemory(t)
			agent := &serving{t: t, socket: filepath.Join(shortDir(t), "agent.sock"), wrap: limit.wrap}
			agent.start("--mode", mode)
			all, begin := startLoaders(t, agent.socket, containers, seconds)
			begin()
			sum, counts, slowest := 0, []int{}, 0
			for _, l := range all {
				l.wait(t)
				if l.errors > 0 || l.least == 0 {
					t.Errorf("a container's callers: %+v", l.loadResult)
				}
				sum += l.calls
				slowest = max(slowest, l.slowest)
				counts = append(counts, l.calls)
			}
			slices.Sort(counts)
			mean, used := sum/len(all), limit.peak(agent)
			t.Logf("%d containers, %d callers each, %d s, mode %s: %d calls answered, a container %d to %d, median %d; slowest %d us; peak memory of agent and helpers %.1f MiB",
				containers, callersEach, seconds, mode, sum, counts[0], counts[len(counts)-1], counts[len(counts)/2], slowest, float64(used)/(1<<20))
			if soaking && counts[0] < mean/10 { // in a few seconds others' load decides
				t.Errorf("a container had %d calls answered, the mean is %d", counts[0], mean)
			}
			if used > memoryLimit {
				t.Errorf("the agent used %d bytes, more than %d", used, memoryLimit)
			}
		})
	}
}

// peakMemory is the most that the agent and its helpers have had.
func (s *serving) peakMemory() int {
	pid := s.cmd.Process.Pid
	sum := peakOf(s.t, pid)
	for _, child := range childrenOf(pid) {
		sum += peakOf(s.t, child)
	}
	return sum
}

func peakOf(t *testing.T, pid int) int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0 // a helper that has ended
	}
	for line := range strings.Lines(string(text)) {
		if value, found := strings.CutPrefix(line, "VmHWM:"); found {
			var kib int
			if _, err := fmt.Sscan(value, &kib); err != nil {
				t.Error(err)
			}
			return kib << 10
		}
	}
	return 0
}

func childrenOf(pid int) []int {
	var children []int
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, task := range tasks {
		text, _ := os.ReadFile(task)
		for word := range strings.FieldsSeq(string(text)) {
			if child, err := strconv.Atoi(word); err == nil {
				children = append(children, child)
			}
		}
	}
	return children
}

// limited is a control group that has no more memory than the agent may use, the pages of
// its files among it.
type limited struct {
	wrap []string // executes a program in it
	dir  string   // "": the memory controller cannot be had
	most string   // the file with its peak
	told string   // the file with its kills
}

func limitMemory(t *testing.T) limited {
	t.Helper()
	for _, v := range []struct{ root, limit, peak, kills string }{
		{"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.max_usage_in_bytes", "memory.oom_control"},
		{"/sys/fs/cgroup", "memory.max", "memory.peak", "memory.events"},
	} {
		dir := filepath.Join(v.root, fmt.Sprintf("pidfd-shim-test-%d", os.Getpid()))
		if _, err := os.Stat(filepath.Join(v.root, "cgroup.procs")); err != nil || os.Mkdir(dir, 0o755) != nil {
			continue
		}
		t.Cleanup(func() { _ = os.Remove(dir) }) // the agent has been stopped by then
		if os.WriteFile(filepath.Join(dir, v.limit), []byte(strconv.Itoa(memoryLimit)), 0o644) == nil {
			enter := []string{"sh", "-c", `echo $$ >"$0" && exec "$@"`, filepath.Join(dir, "cgroup.procs")}
			return limited{enter, dir, v.peak, v.kills}
		}
	}
	t.Log("no memory controller here: the kernel sets no limit")
	return limited{}
}

// peak is the most that was used. Without a group it is what each process has had, with
// what they share counted for each.
func (l limited) peak(s *serving) int {
	if l.dir == "" {
		return s.peakMemory()
	}
	text, err := os.ReadFile(filepath.Join(l.dir, l.told))
	if err != nil || !strings.Contains("\n"+string(text), "\noom_kill 0\n") {
		s.t.Errorf("somebody was killed for want of memory: %q %v", text, err)
	}
	return numberIn(s.t, filepath.Join(l.dir, l.most))
}

func numberIn(t *testing.T, path string) int {
	text, err := os.ReadFile(path)
	n, atoi := strconv.Atoi(strings.TrimSpace(string(text)))
	if err = errors.Join(err, atoi); err != nil {
		t.Error(err)
	}
	return n
}

package tests

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// agentDeadline is for what an agent does at once: reaching it means that it hangs.
const agentDeadline = 20 * time.Second

// serving is a `pidfd-shim serve` under test.
type serving struct {
	t      *testing.T
	shim   string   // a build of its own; "" is the usual one
	wrap   []string // another program, with arguments, that executes it
	cmd    *exec.Cmd
	socket string
	log    *watchedLog
}

// startAgent starts an agent and waits until it takes hand-overs.
func startAgent(t *testing.T, flags ...string) *serving {
	t.Helper()
	s := &serving{t: t, socket: filepath.Join(shortDir(t), "agent.sock")}
	s.start(flags...)
	return s
}

func (s *serving) start(flags ...string) {
	s.t.Helper()
	if s.shim == "" {
		s.shim = buildShim(s.t)
	}
	argv := append(slices.Clone(s.wrap), s.shim, "serve", "--socket", s.socket, "--log-level", "info")
	argv = append(argv, flags...)
	s.cmd = exec.Command(argv[0], argv[1:]...)
	s.log = newWatchedLog()
	s.cmd.Stderr = s.log.pipe(s.t)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	_ = s.cmd.Stderr.(*os.File).Close()
	s.t.Cleanup(s.stop)
	s.log.await(s.t, "msg=ready")
}

// stop ends the agent by SIGTERM; it must end well.
func (s *serving) stop() {
	if s.cmd.ProcessState != nil {
		return
	}
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	late := time.AfterFunc(agentDeadline, func() { _ = s.cmd.Process.Kill() })
	defer late.Stop()
	if err := s.cmd.Wait(); err != nil {
		s.t.Errorf("the agent ended with %v; its log:\n%s", err, s.log)
	}
}

// shortDir is a temporary directory whose paths a unix socket can have.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "agent")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// watchedLog collects lines and can be waited on.
type watchedLog struct {
	mu    sync.Mutex // guards below
	lines []string
	ended bool
	more  *sync.Cond
}

func newWatchedLog() *watchedLog {
	l := &watchedLog{}
	l.more = sync.NewCond(&l.mu)
	return l
}

// pipe is the end to write to.
func (l *watchedLog) pipe(t *testing.T) io.Writer {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		defer r.Close()
		scanner := bufio.NewScanner(r)
		for scanner.Scan() {
			l.add(scanner.Text())
		}
		l.end()
	}()
	return w
}

func (l *watchedLog) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ended = true
	l.more.Broadcast()
}

func (l *watchedLog) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
	l.more.Broadcast()
}

// await waits for a line with all the words; awaitFor returns it.
func (l *watchedLog) await(t *testing.T, words ...string) {
	t.Helper()
	l.awaitFor(t, agentDeadline, words...)
}

func (l *watchedLog) awaitFor(t *testing.T, patience time.Duration, words ...string) string {
	t.Helper()
	late := time.AfterFunc(patience, l.end)
	defer late.Stop()
	return l.wait(t, 1, words)
}

// awaitCount waits until n lines have all the words.
func (l *watchedLog) awaitCount(t *testing.T, n int, words ...string) {
	t.Helper()
	late := time.AfterFunc(agentDeadline, l.end)
	defer late.Stop()
	l.wait(t, n, words)
}

func (l *watchedLog) wait(t *testing.T, n int, words []string) string {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for seen := 0; ; {
		for ; seen < len(l.lines); seen++ {
			if hasAll(l.lines[seen], words) {
				if n--; n == 0 {
					return l.lines[seen]
				}
			}
		}
		if l.ended {
			t.Fatalf("no line with %q in the log:\n%s", words, strings.Join(l.lines, "\n"))
		}
		l.more.Wait()
	}
}

// count is how many lines have all the words.
func (l *watchedLog) count(words ...string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, line := range l.lines {
		if hasAll(line, words) {
			n++
		}
	}
	return n
}

func (l *watchedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.lines, "\n")
}

// awaitFile waits for a file to be there.
func awaitFile(t *testing.T, path string) {
	t.Helper()
	for end := time.Now().Add(agentDeadline); ; runtime.Gosched() {
		if _, err := os.Lstat(path); err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s is still not there", path)
		}
	}
}

func hasAll(line string, words []string) bool {
	return !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(line, word) })
}

func TestServeSaysWhatIsWrong(t *testing.T) {
	shim := buildShim(t)
	taken := startAgent(t)
	for _, row := range []struct {
		name   string
		flags  []string
		status int
		want   string
	}{
		{"no socket", nil, 2, "--socket PATH is needed"},
		{"a word that is none", []string{"--socket", "x", "--unknown-policy", "dney"}, 2, "it takes deny, default"},
		{"a mode that is none", []string{"--socket", "x", "--mode", "forwrad"}, 2, "it takes auto"},
		{"a socket in use", []string{"--socket", taken.socket}, 1, "another agent serves it"},
		{"no directory", []string{"--socket", "/nonexistent/x"}, 1, "no such file"},
		{"no policies", []string{"--socket", "x", "--policy-dir", "/nonexistent"}, 1, "--policy-dir"},
	} {
		t.Run(row.name, func(t *testing.T) {
			cmd := exec.Command(shim, append([]string{"serve"}, row.flags...)...)
			cmd.Dir = t.TempDir()
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			_ = cmd.Run()
			if cmd.ProcessState.ExitCode() != row.status || !strings.Contains(stderr.String(), row.want) || strings.Count(stderr.String(), "\n") != 1 {
				t.Errorf("status %d, stderr %q; want %d and one line with %q", cmd.ProcessState.ExitCode(), stderr.String(), row.status, row.want)
			}
		})
	}
}

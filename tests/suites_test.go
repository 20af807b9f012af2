package tests

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// A suite is somebody else's tests, run whole: its results by the names of its tests.
type suite struct {
	name string
	run  func(t *testing.T, wrapper []string) map[string]string
}

var suites = []suite{
	{"systemd", runSystemdSuite},
	{"cpython", runPythonSuite},
	{"go", runGoSuite},
	{"stress-ng", runStressSuite},
}

// suiteModes are the ways to run a suite, the second with a policy that allows all and has
// to look at each target first.
var suiteModes = []struct {
	name  string
	flags []string
}{
	{"auto", nil},
	{"policy", []string{"--policy", "testdata/suites/all.yaml"}},
	{"forward", []string{"--mode", "forward"}},
	{"caller", []string{"--mode", "caller"}},
	{"emulate", []string{"--mode", "emulate"}},
	{"ptrace", []string{"--backend", "ptrace"}},
	{"ptrace-policy", []string{"--backend", "ptrace", "--policy", "testdata/suites/all.yaml"}},
}

// TestSuites runs the suites natively and in each way, prints pass, fail and skip side by side
// and fails on a difference that testdata/suites/known does not name. SUITES and SUITE_MODES
// choose some, with commas.
func TestSuites(t *testing.T) {
	if os.Getenv("PIDFD_SHIM_SUITES") == "" {
		t.Skip("make suites runs them: an hour")
	}
	known := readKnown(t)
	for _, s := range suites {
		if !chosen("SUITES", s.name) {
			continue
		}
		native := s.run(t, nil)
		again := s.run(t, nil) // what two native runs differ in is not ours
		t.Logf("%-10s %-14s %s", s.name, "native", counts(native))
		for _, m := range suiteModes {
			if !chosen("SUITE_MODES", m.name) {
				continue
			}
			got := s.run(t, slices.Concat([]string{buildShim(t), "run"}, m.flags, []string{"--"}))
			t.Logf("%-10s %-14s %s", s.name, m.name, counts(got))
			for _, test := range sortedNames(native, got) {
				if native[test] == got[test] || again[test] == got[test] || known.names(s.name, m.name, test) {
					continue
				}
				t.Errorf("%s under %s: %s is %q, natively %q", s.name, m.name, test, got[test], native[test])
			}
		}
	}
}

func chosen(variable, name string) bool {
	words := os.Getenv(variable)
	return words == "" || slices.Contains(strings.Split(words, ","), name)
}

func counts(results map[string]string) string {
	n := map[string]int{}
	for _, result := range results {
		n[result]++
	}
	return fmt.Sprintf("pass %4d  fail %3d  skip %3d  hang %d", n["pass"], n["fail"], n["skip"], n["hang"])
}

func sortedNames(maps ...map[string]string) []string {
	var names []string
	for _, m := range maps {
		for name := range m {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// knownDifferences are lines "SUITE MODE TEST why", each word but the last a pattern of path.Match.
type knownDifferences [][3]string

func readKnown(t *testing.T) knownDifferences {
	t.Helper()
	text, err := os.ReadFile("testdata/suites/known")
	if err != nil {
		t.Fatal(err)
	}
	var known knownDifferences
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(line, "#") {
			continue
		}
		if len(words) < 4 {
			t.Fatalf("testdata/suites/known: %q does not say why", line)
		}
		known = append(known, [3]string(words[:3]))
	}
	return known
}

func (known knownDifferences) names(words ...string) bool {
	return slices.ContainsFunc(known, func(line [3]string) bool {
		for i, pattern := range line {
			if ok, err := filepath.Match(pattern, words[i]); !ok || err != nil {
				return false
			}
		}
		return true
	})
}

const oneSuiteTest = 3 * time.Minute

// output runs a command, perhaps wrapped, and returns what it printed and how it ended.
func suiteOutput(dir string, wrapper []string, argv ...string) (string, int) {
	ctx, cancel := context.WithTimeout(context.Background(), oneSuiteTest)
	defer cancel()
	argv = slices.Concat(wrapper, argv)
	if len(wrapper) > 0 { // it is run in other directories
		for i, word := range argv[:len(wrapper)] {
			if strings.HasPrefix(word, "testdata/") {
				argv[i], _ = filepath.Abs(word)
			}
		}
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir, cmd.WaitDelay = dir, time.Second
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return string(out), -1
	case errors.As(err, &exit):
		return string(out), exit.ExitCode()
	case err != nil && !errors.Is(err, exec.ErrWaitDelay):
		return err.Error(), -2
	}
	return string(out), 0
}

func byStatus(status int) string {
	switch status {
	case 0:
		return "pass"
	case 77: // automake's word for it
		return "skip"
	case -1:
		return "hang"
	}
	return "fail"
}

// runSystemdSuite runs those of systemd's unit tests that have to do with processes.
func runSystemdSuite(t *testing.T, wrapper []string) map[string]string {
	t.Helper()
	results := map[string]string{}
	binaries, err := filepath.Glob("/usr/lib/systemd/tests/test-*")
	if err != nil || len(binaries) == 0 {
		t.Fatalf("no systemd-tests: %v", err)
	}
	for _, binary := range binaries {
		name := filepath.Base(binary)
		if !systemdTests.MatchString(name) {
			continue
		}
		_, status := suiteOutput("/", wrapper, binary)
		results[name] = byStatus(status)
	}
	return results
}

var systemdTests = regexp.MustCompile(`^test-(async|barrier|event|exec-util|execute|fd-util|fdset|fileio|fs-util|io-util|ipcrm|job-type|` +
	`loop-block|mount-util|namespace|pid.*|process-util|proc-cmdline|rlimit-util|sd-event|seccomp|signal-util|sigbus|sleep|` +
	`socket-util|terminal-util|unit-.*|utmp|varlink|watch-pid|bus-watch-bind|bus-server|bus-chat|daemon|ask-password-api|log|time-util|env-util|capability|netlink-manual)$`)

// runPythonSuite runs CPython's tests of processes and signals, case by case.
func runPythonSuite(t *testing.T, wrapper []string) map[string]string {
	t.Helper()
	results := map[string]string{}
	line := regexp.MustCompile(`(?m)^(test\w+) \(([\w.]+)\).*?\.\.\. (?s:.*?)(ok|skipped|FAIL|ERROR|expected failure)\b`)
	for _, module := range []string{"test_signal", "test_threadsignals", "test_posix", "test_subprocess", "test_wait3", "test_wait4", "test_kqueue", "test_popen", "test_fork1", "test_pty", "test_os", "test_asyncio.test_subprocess", "test_asyncio.test_unix_events"} {
		out, status := suiteOutput("/", wrapper, "/usr/bin/python3", "-m", "test", "-v", module)
		results[module] = byStatus(status)
		for _, found := range line.FindAllStringSubmatch(out, -1) {
			results[found[2]+" "+found[1]] = map[string]string{"ok": "pass", "skipped": "skip", "expected failure": "pass"}[found[3]]
		}
	}
	return results
}

// runGoSuite runs the standard library's tests of processes and signals.
func runGoSuite(t *testing.T, wrapper []string) map[string]string {
	t.Helper()
	results := map[string]string{}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^\s*--- (PASS|FAIL|SKIP): (\S+)`)
	for _, pkg := range []string{"os", "os/exec", "os/signal", "syscall", "internal/poll", "os/user"} {
		bin := filepath.Join(t.TempDir(), filepath.Base(pkg)+".test")
		if out, err := exec.Command("go", "test", "-c", "-o", bin, pkg).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		out, status := suiteOutput(filepath.Join(strings.TrimSpace(string(root)), "src", pkg), wrapper, bin, "-test.v", "-test.timeout", "2m")
		results[pkg] = byStatus(status)
		for _, found := range line.FindAllStringSubmatch(out, -1) {
			results[pkg+" "+found[2]] = strings.ToLower(found[1])
		}
	}
	return results
}

// runStressSuite runs stress-ng's stressors of signals and processes, some operations each.
func runStressSuite(t *testing.T, wrapper []string) map[string]string {
	t.Helper()
	results := map[string]string{}
	for _, stressor := range []string{
		"kill", "pidfd", "sigabrt", "sigchld", "sigfd", "sigfpe", "sigio", "signal", "signest", "sigpending", "sigpipe", "sigq", "sigrt",
		"sigsegv", "sigsuspend", "sigtrap", "fork", "vfork", "clone", "daemon", "exec", "wait", "zombie", "pthread", "ptrace", "seccomp", "itimer", "timer",
	} {
		_, status := suiteOutput("/tmp", wrapper, "stress-ng", "--"+stressor, "1", "--"+stressor+"-ops", "100", "--timeout", "30s", "--oomable")
		results[stressor] = byStatus(status)
	}
	return results
}

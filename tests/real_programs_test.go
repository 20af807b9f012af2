package tests

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pidfd-shim/pidfd-shim/tests/skip"
)

// program is a command that is ready to run, as often as wanted.
type program struct {
	argv  []string
	dir   string
	keep  func(output string) string       // what of the output is to be equal; nil: all
	known func(mode, output string) string // what docs/FIDELITY.md says of a mode; nil: nothing
}

func (p program) relevant(output string) string {
	if p.keep == nil {
		return output
	}
	return p.keep(output)
}

// realPrograms are those of Debian 12 and of Go that make the call, and some that do
// not. least is how many calls are known to be made at the least; 0: none is.
var realPrograms = []struct {
	name    string
	least   int
	prepare func(*testing.T) program
}{
	{"go-os", 6, goTests("os", "amd64", osByChance, "-test.short")},
	{"go-os-exec", 12, goTests("os/exec", "amd64", execByChance)},
	{"go-os-exec-386", 12, goTests("os/exec", "386", execByChance)},
	{"cpython-test-signal", 2, pythonTests("test_signal", "*pidfd*")},
	{"python-script", 12, pythonScript},
	{"stress-ng", 156, command("stress-ng", "--quiet", "--pidfd", "1", "--pidfd-ops", "50")},
	{"killall", 1, killall},
	{"send", 2, sendCommand},
	{"demo64", 2, demo("m64")},
	{"demo32", 2, demo("m32")},

	{"bash", 0, command("bash", "-c", bashScript)},
	{"make", 0, projectIn("real/project", "make -s -B -j4 && ./hello")},
	{"go-build", 1, projectIn("real/module", "rm -f hello && go build -o hello . && ./hello")},
	{"cpython-test-subprocess", 0, pythonTests("test_subprocess", "*.test_terminate", "*.test_kill", "*.test_send_signal_race*")},
}

const (
	// Tests of os that take minutes on a slow disk and signal nobody; one that runs
	// strace, which has no place under strace; and one whose child makes a call of
	// its own as it starts, or is interrupted before.
	osByChance = "^(TestRoot.*|TestRemoveAllNoFcntl|TestProcessWithHandleLinux)$"
	// Tests of os/exec that kill who may have ended, and those that kill once more
	// whom the first signal has not ended within 10 milliseconds, or 1.
	execByChance = "^TestStdinCloseRace$|^TestCancelErrors$|^TestWaitInterrupt$/^SIGKILL-hang$"
)

// goTests are the standard library's own tests of a package, compiled here, without
// those in which it is chance how many calls are made.
func goTests(pkg, arch, byChance string, flags ...string) func(*testing.T) program {
	return func(t *testing.T) program {
		bin := filepath.Join(mustBuildDir(t), strings.ReplaceAll(pkg, "/", "-")+"-"+arch+".test")
		build := exec.Command("go", "test", "-c", "-vet=off", "-o", bin, pkg)
		build.Env = append(os.Environ(), "GOARCH="+arch)
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("go test -c %s: %v\n%s", pkg, err, out)
		}
		dir, err := exec.Command("go", "list", "-f", "{{.Dir}}", pkg).Output()
		if err != nil {
			t.Fatal(err)
		}
		return program{
			argv: slices.Concat([]string{bin, "-test.v", "-test.skip", byChance}, flags),
			dir:  strings.TrimSpace(string(dir)),
			keep: matches(`(?m)^ *--- (?:PASS|FAIL|SKIP): \S+`),
		}
	}
}

// debianPython is the one that libpython3.x-testsuite belongs to; the first in PATH
// may be another.
const debianPython = "/usr/bin/python3"

// pythonTests are CPython's own tests.
func pythonTests(module string, patterns ...string) func(*testing.T) program {
	return func(t *testing.T) program {
		if out, err := exec.Command(debianPython, "-c", "import test."+module).CombinedOutput(); err != nil {
			skip.If(t, fmt.Errorf("CPython's tests (libpython3.x-testsuite): %w\n%s", err, out))
		}
		argv := []string{debianPython, "-m", "test", "-v", module}
		for _, pattern := range patterns {
			argv = append(argv, "-m", pattern)
		}
		return program{argv: argv, dir: t.TempDir(), keep: matches(`(?m)^test\w+ .*\.\.\. .*$|^Ran \d+ tests?|^Tests result: .*$`)}
	}
}

func pythonScript(t *testing.T) program {
	_, err := os.Stat(debianPython)
	skip.If(t, err)
	script, err := filepath.Abs("real/pidfd.py")
	if err != nil {
		t.Fatal(err)
	}
	return program{argv: []string{debianPython, script}}
}

func command(argv ...string) func(*testing.T) program {
	return func(t *testing.T) program {
		_, err := exec.LookPath(argv[0])
		skip.If(t, err)
		return program{argv: argv, dir: t.TempDir()}
	}
}

// killall kills by name, so the victim gets one that nobody else has.
func killall(t *testing.T) program {
	for _, needed := range []string{"killall", "sleep"} {
		_, err := exec.LookPath(needed)
		skip.If(t, err)
	}
	const script = `cp "$(command -v sleep)" "$1" && { ./"$1" 600 & }
until [ "$(cat /proc/$!/comm)" = "$1" ]; do :; done
killall -w "$1"; echo killall $?
wait $!; echo sleeper $?`
	name := fmt.Sprintf("shim%x", os.Getpid()) // up to 15 characters: a comm
	return program{argv: []string{"bash", "-c", script, "bash", name}, dir: t.TempDir()}
}

// sendCommand is our own send, which knows nothing of run.
func sendCommand(t *testing.T) program {
	const script = `sleep 600 & "$1" send 0 $!; echo probe $?
"$1" send --queue 7 SIGTERM /proc/$!; echo send $?; wait $!; echo sleeper $?`
	return program{argv: []string{"bash", "-c", script, "bash", buildShim(t)}}
}

// demo is what make demo shows: siginfo with a value, and a signal without.
func demo(width string) func(*testing.T) program {
	return func(t *testing.T) program {
		bin := filepath.Join(mustBuildDir(t), "demo-"+width)
		if out, err := exec.Command("gcc", "-O2", "-"+width, "-o", bin, "../scripts/demo.c").CombinedOutput(); err != nil {
			t.Fatalf("gcc -%s (needs gcc-multilib): %v\n%s", width, err, out)
		}
		// Nobody can send SI_USER in another's name.
		fromOutside := func(mode, output string) string {
			if mode == "forward" || mode == "emulate" {
				return strings.ReplaceAll(output, "SI_USER", "SI_QUEUE")
			}
			return output
		}
		return program{argv: []string{bin}, known: fromOutside}
	}
}

const bashScript = `trap 'echo trapped' USR1; kill -USR1 $$
seq 100 | while read -r n; do echo $((n * n)); done | tail -n 1
sleep 600 & kill %1; wait $!; echo sleeper $?
(exit 7); echo subshell $?; exit 3`

// projectIn is a shell command in a copy of a folder.
func projectIn(folder, script string) func(*testing.T) program {
	return func(t *testing.T) program {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(folder)); err != nil {
			t.Fatal(err)
		}
		_, err := exec.LookPath(strings.Fields(script)[0])
		skip.If(t, err)
		return program{argv: []string{"sh", "-c", script}, dir: dir}
	}
}

// matches keeps what a pattern finds, sorted: what runs in parallel ends in any order.
func matches(pattern string) func(string) string {
	find := regexp.MustCompile(pattern)
	return func(output string) string {
		list := find.FindAllString(output, -1)
		slices.Sort(list)
		return strings.Join(list, "\n")
	}
}

//go:build kernels

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
)

// vmCaller is a program that makes the call and that others wrote, or that does what
// they do. least is how many of its calls are known, at the least, on a kernel with
// pidfd_open: without it most programs use kill.
type vmCaller struct {
	name   string
	argv   []string
	least  int
	always bool // makes its calls on any kernel
	files  func(*testing.T) []vmFile
	keep   func(output string) string // what of the output is to be equal
	known  func(mode, output string) string
}

func vmCallers() []vmCaller {
	all := []vmCaller{
		{"send", []string{"/bin/pidfd-shim", "send", "--queue", "7", "SIGWINCH", "1"}, 1, false, noFiles, everything, asItIs},
		{"go-os-exec", goExecTests("amd64"), 2, false, goExecBinary("amd64"), matches(`(?m)^ *--- (?:PASS|FAIL|SKIP): \S+`), asItIs},
		{"go-os-exec-386", goExecTests("386"), 2, false, goExecBinary("386"), matches(`(?m)^ *--- (?:PASS|FAIL|SKIP): \S+`), asItIs},
		{"demo64", []string{"/bin/demo-m64"}, 2, true, demoBinary("m64"), everything, outsideIsQueue},
		{"demo32", []string{"/bin/demo-m32"}, 2, true, demoBinary("m32"), everything, outsideIsQueue},
	}
	if stress, err := exec.LookPath("stress-ng"); err == nil {
		all = append(all, vmCaller{
			"stress-ng",
			[]string{stress, "--quiet", "--pidfd", "1", "--pidfd-ops", "20"},
			50, false,
			withLibraries(stress), everything, asItIs,
		})
	}
	if only := os.Getenv("KERNELS_CALLERS"); only != "" {
		all = slices.DeleteFunc(all, func(c vmCaller) bool { return !slices.Contains(strings.Split(only, ","), c.name) })
	}
	return all
}

func noFiles(*testing.T) []vmFile       { return nil }
func everything(output string) string   { return output }
func asItIs(mode, output string) string { return output }
func goExecTests(arch string) []string {
	return []string{"/bin/os-exec-" + arch + ".test", "-test.v", "-test.run", "^(TestWaitInterrupt|TestContext|TestContextCancel|TestCancelErrors)$", "-test.skip", execByChance}
}

func goExecBinary(arch string) func(*testing.T) []vmFile {
	return func(t *testing.T) []vmFile {
		name := "os-exec-" + arch + ".test"
		bin := goBuild(t, "static-"+name, arch, "test", "-c", "-vet=off", "-ldflags", "-s -w", "-o", filepath.Join(mustBuildDir(t), "static-"+name), "os/exec")
		return []vmFile{{"bin/" + name, bin}}
	}
}

func demoBinary(width string) func(*testing.T) []vmFile {
	return func(t *testing.T) []vmFile {
		bin := filepath.Join(mustBuildDir(t), "demo-static-"+width)
		if out, err := exec.Command("gcc", "-static", "-O2", "-"+width, "-o", bin, "../scripts/demo.c").CombinedOutput(); err != nil {
			t.Fatalf("gcc -%s (needs gcc-multilib): %v\n%s", width, err, out)
		}
		return []vmFile{{"bin/demo-" + width, bin}}
	}
}

// outsideIsQueue: nobody can send SI_USER in another's name.
func outsideIsQueue(mode, output string) string {
	if mode == "forward" || strings.HasSuffix(mode, "emulate") {
		return strings.ReplaceAll(output, "SI_USER", "SI_QUEUE")
	}
	return output
}

// withLibraries is a program of this machine, and what it is linked with.
func withLibraries(path string) func(*testing.T) []vmFile {
	return func(t *testing.T) []vmFile {
		out, err := exec.Command("ldd", path).Output()
		if err != nil {
			t.Fatalf("ldd %s: %v", path, err)
		}
		files := []vmFile{{strings.TrimPrefix(path, "/"), path}}
		for _, library := range regexp.MustCompile(`/\S+`).FindAllString(string(out), -1) {
			files = append(files, vmFile{strings.TrimPrefix(library, "/"), library})
		}
		return files
	}
}

// job runs the program, with a wrapper unless natively.
func (c vmCaller) job(prefix string, m vmMode) vmJob {
	job := vmJob{Name: "caller-" + prefix + "-" + c.name, Argv: c.argv, Seconds: 180}
	if m.name != "" {
		job.Keep = "/tmp/audit"
		job.Argv = slices.Concat(shimRun, []string{"--wait", "all", "--audit=" + job.Keep}, m.flags, []string{"--"}, c.argv)
	}
	return job
}

// callerModes are those in which programs are run: those that it must have.
func (k vmKernel) callerModes() []vmMode {
	return slices.DeleteFunc(vmModes(), func(m vmMode) bool { return k.number.before(m.since) || m.name == "auto-trace" })
}

func (k vmKernel) callerJobs() []vmJob {
	if k.full() {
		return nil
	}
	var jobs []vmJob
	for _, c := range vmCallers() {
		jobs = append(jobs, c.job("native", vmMode{}))
		for _, m := range k.callerModes() {
			jobs = append(jobs, c.job(m.name, m))
		}
	}
	return jobs
}

// judgeCallers compares each program's end and output with what they are natively, and
// counts its calls: a program that meets a wrong answer would fall back to kill.
func (m *matrix) judgeCallers(t *testing.T, k vmKernel) {
	if k.full() {
		return
	}
	for _, mode := range k.callerModes() {
		run, equal, calls := 0, 0, 0
		for _, c := range vmCallers() {
			native := k.ran["caller-native-"+c.name]
			if c.always && k.number.before(original) {
				native = m.oracle.ran["caller-native-"+c.name]
			}
			run++
			job := k.ran["caller-"+mode.name+"-"+c.name]
			made := strings.Count(job.kept, `"syscall":"pidfd_send_signal"`)
			calls += made
			want := c.known(mode.name, c.keep(native.stdout))
			switch {
			case native.end == "" || job.end != native.end || c.keep(job.stdout) != want || job.stderr != native.stderr:
				t.Errorf("%s %s: ended with %q, natively %q\nstderr: %s\nnatively: %s\n%s", mode.name, c.name, job.end, native.end,
					tail(job.stderr, 1000), tail(native.stderr, 1000), sideBySide(c.name, want, c.keep(job.stdout)))
			case made < c.least && (c.always || !k.number.before(pidfdOpen)):
				t.Errorf("%s %s: %d calls, at least %d are known", mode.name, c.name, made, c.least)
			default:
				equal++
			}
		}
		m.judged.failed += run - equal
		m.print(k.release, mode.backend, mode.name, "callers", run, equal, "", run-equal, "", fmt.Sprintf("%d calls", calls))
	}
}

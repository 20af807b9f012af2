//go:build kernels

package tests

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// vmMode is a way to run the caller under the shim, and the first kernel that must
// have it; older ones must refuse it.
type vmMode struct {
	backend string
	mode
	since version
}

var (
	// original is the first kernel with the call itself.
	original = version{5, 1}
	// pidfdOpen is the first with pidfd_open: before it callers have /proc directories.
	pidfdOpen = version{5, 3}
)

func vmModes() []vmMode {
	notify := func(name string, since version, flags ...string) vmMode {
		return vmMode{"notify", mode{name, append([]string{"--backend", "notify"}, flags...)}, since}
	}
	all := []vmMode{
		notify("auto", version{5, 0}),
		notify("auto-trace", version{5, 0}, "--trace=/tmp/trace"),
		notify("continue", version{5, 5}, "--mode", "continue"),
		notify("forward", original, "--mode", "forward"),
		notify("caller", version{5, 0}, "--mode", "caller"),
		notify("emulate", version{5, 0}, "--mode", "emulate"),
		{"ptrace", mode{"ptrace", []string{"--backend", "ptrace"}}, version{}},
		{"ptrace", mode{"ptrace-emulate", []string{"--backend", "ptrace", "--mode", "emulate"}}, version{}},
	}
	if only := os.Getenv("TRUTH_MODES"); only != "" {
		all = slices.DeleteFunc(all, func(m vmMode) bool { return !slices.Contains(strings.Split(only, ","), m.name) })
	}
	return all
}

// judgedAs is the mode whose exceptions count: where the kernel lacks the call, auto
// is another name of caller.
func (m vmMode) judgedAs(number version) string {
	name := m.name
	if number.before(original) && strings.HasPrefix(name, "auto") {
		name = "caller"
	}
	switch {
	case number.before(version{4, 16}):
		return name + "-4.14"
	case number.before(version{4, 20}):
		return name + "-4.19"
	case number.before(original):
		return name + "-old"
	case number.before(version{5, 19}):
		return name + "-5.18"
	}
	return name
}

// jobs is what the kernel runs. A mode that it should not have is tried too. Whether
// there are x32 callers is seen afterwards.
func (k vmKernel) jobs() []vmJob {
	jobs := []vmJob{
		{Name: "doctor", Argv: []string{"/bin/pidfd-shim", "doctor"}, Seconds: 60},
		{Name: "doctor-json", Argv: []string{"/bin/pidfd-shim", "doctor", "--json"}, Seconds: 60},
	}
	compiled := allWidths
	if k.full() {
		compiled = k.widths()
	}
	for _, width := range compiled {
		jobs = append(jobs, k.nativeJob(width))
		for _, m := range vmModes() {
			run := slices.Concat(shimRun, m.flags, []string{"--"}, k.truth(width))
			jobs = append(jobs, vmJob{Name: m.name + "-" + width, Argv: run, Seconds: 1800})
		}
	}
	return append(jobs, k.callerJobs()...)
}

// shimRun is without warnings: that a caller's memory does not answer is said of one that
// is only slow, as all is in a machine that its host starves.
var shimRun = []string{"/bin/pidfd-shim", "run", "--log-level", "error"}

func (k vmKernel) nativeJob(width string) vmJob {
	return vmJob{Name: "native-" + width, Argv: k.truth(width), Seconds: 1800}
}

func (k vmKernel) truth(width string) []string {
	return append([]string{"/bin/truth-" + width}, k.truthFlags()...)
}

// truthFlags: emulation makes everything slow, so a row may take its time.
func (k vmKernel) truthFlags() []string {
	flags := []string{"--deadline", "60000"}
	if k.number.before(pidfdOpen) {
		flags = append(flags, "--procdirs")
	}
	if only := os.Getenv("KERNELS_ONLY"); only != "" {
		flags = append(flags, "--only", only)
	}
	if every := os.Getenv("KERNELS_EVERY"); every != "" {
		flags = append(flags, "--every", every)
	}
	return flags
}

// rows of a job that ran the suite.
func (j ranJob) rows() ([]row, error) {
	if j.end != "ok" {
		return nil, fmt.Errorf("ended with %q; stderr: %s", cmp.Or(j.end, "nothing: the machine went away"), tail(j.stderr, 2000))
	}
	rows, err := parseRows(j.stdout)
	if err == nil && len(rows) == 0 {
		err = errors.New("no rows")
	}
	if err == nil && j.stderr != "" {
		err = fmt.Errorf("stderr is not empty: %s", tail(j.stderr, 2000))
	}
	return rows, err
}

// refused is the reason that a job gives for running nothing: status 125, one line.
func (j ranJob) refused() (string, error) {
	why, found := strings.CutPrefix(j.stderr, "pidfd-shim: ")
	if j.end != "exit status 125" || !found || strings.Count(why, "\n") != 1 || j.stdout != "" {
		return "", fmt.Errorf("ended with %q, not with 125 and a reason; stdout %q; stderr %q", j.end, tail(j.stdout, 200), tail(j.stderr, 2000))
	}
	return strings.TrimSpace(why), nil
}

// vmFiles builds what the machines run: all of it static, but for programs of this
// machine, which come with their libraries.
func vmFiles(t *testing.T) []vmFile {
	t.Helper()
	files := []vmFile{
		{"init", buildStatic(t, "./tests/vminit", "vminit")},
		{"bin/pidfd-shim", buildStatic(t, "./cmd/pidfd-shim", "pidfd-shim-static")},
	}
	for _, width := range allWidths {
		files = append(files, vmFile{"bin/truth-" + width, buildTruth(t, "truth", width)})
	}
	for _, c := range vmCallers() {
		files = append(files, c.files(t)...)
	}
	return files
}

func buildStatic(t *testing.T, pkg, name string) string {
	t.Helper()
	return goBuild(t, name, "", "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(mustBuildDir(t), name), pkg)
}

// goBuild runs the go command without cgo, in the repository, and returns the binary.
func goBuild(t *testing.T, name, arch string, args ...string) string {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir, cmd.Env = "..", append(os.Environ(), "CGO_ENABLED=0")
	if arch != "" {
		cmd.Env = append(cmd.Env, "GOARCH="+arch)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return filepath.Join(mustBuildDir(t), name)
}

// version is the first two numbers of a Linux release.
type version struct{ major, minor int }

func (v version) before(w version) bool {
	return cmp.Or(cmp.Compare(v.major, w.major), cmp.Compare(v.minor, w.minor)) < 0
}

func (v version) String() string { return fmt.Sprintf("%d.%d", v.major, v.minor) }

// vmJob is one entry of vminit's /jobs.
type vmJob struct {
	Name    string
	Argv    []string
	Seconds int
	Keep    string
}

func encodeJobs(t *testing.T, jobs []vmJob) []byte {
	t.Helper()
	text, err := json.Marshal(jobs)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

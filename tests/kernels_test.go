//go:build kernels

package tests

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
)

// vmMode is a way to run the caller under the shim, and the first kernel that must
// have it.
type vmMode struct {
	backend string
	mode
	since version
}

// original is the first kernel with the call itself: before it, another kernel's
// rows are the truth.
var original = version{5, 1}

func vmModes() []vmMode {
	notify := func(name string, since version, flags ...string) vmMode {
		return vmMode{"notify", mode{name, append([]string{"--backend", "notify"}, flags...)}, since}
	}
	all := []vmMode{
		notify("auto", version{5, 0}),
		notify("auto-trace", version{5, 0}, "--trace=/tmp/trace"),
		notify("continue", version{5, 5}, "--mode", "continue"),
		notify("forward", version{5, 6}, "--mode", "forward"),
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

// TestKernels boots each image of KERNELS (with : between them) and judges the truth
// suite there as TestTruth does here. KERNELS_ONLY=SUBSTRING and TRUTH_MODES limit it;
// KERNELS_CPUS is how many processors the machines have.
func TestKernels(t *testing.T) {
	exceptions, err := readExceptions("../docs/FIDELITY.md")
	if err != nil {
		t.Fatal(err)
	}
	initramfs := vmFiles(t)
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "KERNEL\tBACKEND\tMODE\tBITS\tROWS\tEQUAL\tEXCEPTED\tFAILED\tSECONDS")
	for _, image := range filepath.SplitList(os.Getenv("KERNELS")) {
		name := filepath.Base(filepath.Dir(image))
		t.Run(name, func(t *testing.T) { judgeKernel(t, name, image, initramfs, exceptions, table) })
	}
	if err := table.Flush(); err != nil {
		t.Error(err)
	}
	t.Logf("\n%s", text.String())
}

func judgeKernel(t *testing.T, name, image string, files []vmFile, exceptions []exception, table *tabwriter.Writer) {
	release, number, err := imageVersion(image)
	if err != nil {
		t.Fatal(err)
	}
	if number.before(original) {
		t.Fatalf("%s: Linux %s has no pidfd_send_signal, and nothing is recorded to judge by", image, release)
	}
	ran := bootVM(t, image, "kernels/"+name, files, vmJobs(number))
	saved := filepath.Join(mustBuildDir(t), "kernels", name+".doctor")
	if err := os.WriteFile(saved, []byte("Linux "+release+"\n"+ran["doctor"].stdout+ran["doctor"].stderr), 0o644); err != nil {
		t.Error(err)
	}
	for _, width := range widths {
		native, err := ran["native-"+width].rows()
		if err != nil {
			t.Errorf("%s natively: %v", width, err)
			continue
		}
		fmt.Fprintf(table, "%s\t-\tnative\t%s\t%d\t\t\t\t%s\n", release, width, len(native), ran["native-"+width].seconds)
		for _, m := range vmModes() {
			if number.before(m.since) {
				continue
			}
			job := ran[m.name+"-"+width]
			rows, err := job.rows()
			if err != nil {
				t.Errorf("%s %s: %v", m.name, width, err)
				fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\t\t\tall\t%s\n", release, m.backend, m.name, width, len(rows), job.seconds)
				continue
			}
			// In part: on an older kernel an exception may find nothing to do.
			v := judge(native, rows, exceptions, m.name, width, true)
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%d\t%d\t%d\t%d\t%s\n", release, m.backend, m.name, width,
				v.rows, v.equal, v.excepted, len(v.failures), job.seconds)
			report(t, v, name+"-"+width+"-"+m.name, slices.Concat([]string{"pidfd-shim", "run"}, m.flags, []string{"--", "truth-" + width}))
		}
	}
}

// vmJobs is what a kernel of this version runs.
func vmJobs(number version) []vmJob {
	jobs := []vmJob{{"doctor", []string{"/bin/pidfd-shim", "doctor"}, 60}}
	for _, width := range widths {
		truth := []string{"/bin/truth-" + width, "--deadline", "10000"}
		if only := os.Getenv("KERNELS_ONLY"); only != "" {
			truth = append(truth, "--only", only)
		}
		jobs = append(jobs, vmJob{"native-" + width, truth, 600})
		for _, m := range vmModes() {
			if !number.before(m.since) {
				run := slices.Concat([]string{"/bin/pidfd-shim", "run"}, m.flags, []string{"--"}, truth)
				jobs = append(jobs, vmJob{m.name + "-" + width, run, 900})
			}
		}
	}
	return jobs
}

// vmFiles builds what the machines run: all of it static.
func vmFiles(t *testing.T) []vmFile {
	t.Helper()
	files := []vmFile{
		{"init", buildStatic(t, "./tests/vminit", "vminit")},
		{"bin/pidfd-shim", buildStatic(t, "./cmd/pidfd-shim", "pidfd-shim-static")},
	}
	for _, width := range widths {
		files = append(files, vmFile{"bin/truth-" + width, buildTruth(t, "truth", width)})
	}
	return files
}

func buildStatic(t *testing.T, pkg, name string) string {
	t.Helper()
	bin := filepath.Join(mustBuildDir(t), name)
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", bin, pkg)
	cmd.Dir, cmd.Env = "..", append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build %s: %v\n%s", pkg, err, out)
	}
	return bin
}

// version is the first two numbers of a Linux release.
type version struct{ major, minor int }

func (v version) before(w version) bool {
	return cmp.Or(cmp.Compare(v.major, w.major), cmp.Compare(v.minor, w.minor)) < 0
}

// vmJob is one entry of vminit's /jobs.
type vmJob struct {
	Name    string
	Argv    []string
	Seconds int
}

func encodeJobs(t *testing.T, jobs []vmJob) []byte {
	t.Helper()
	text, err := json.Marshal(jobs)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

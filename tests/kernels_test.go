//go:build kernels

package tests

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
)

// TestKernels boots each image of KERNELS (with : between them) and judges the truth
// suite, real callers and doctor there. Images called ...-amd64 are of Debian's full
// flavour, the one with the x32 ABI, and run x32 callers. Where a kernel lacks the call,
// what KERNELS_ORACLE, a newer one, says is the truth. KERNELS_ONLY=SUBSTRING,
// KERNELS_EVERY=N and TRUTH_MODES limit the rows, KERNELS_CALLERS=NAME,... the callers.
// KERNELS_AGAIN=1 judges the last run's rows again, as after a change of the exceptions.
func TestKernels(t *testing.T) {
	exceptions, err := readExceptions()
	if err != nil {
		t.Fatal(err)
	}
	m := matrix{exceptions: exceptions, files: vmFiles(t), oracle: oracle{image: os.Getenv("KERNELS_ORACLE")}}
	m.print("KERNEL", "BACKEND", "MODE", "BITS", "ROWS", "EQUAL", "EXCEPTED", "FAILED", "SECONDS", "NOTE")
	for _, image := range filepath.SplitList(os.Getenv("KERNELS")) {
		name := filepath.Base(filepath.Dir(image))
		t.Run(name, func(t *testing.T) { m.judgeKernel(t, name, image) })
	}
	t.Logf("\n%s", m.table())
}

// matrix is what all kernels are judged with, and the lines of the table that comes of it.
type matrix struct {
	exceptions []exception
	files      []vmFile
	oracle     oracle
	lines      []string
	judged     struct{ kernels, rows, failed int }
}

func (m *matrix) print(columns ...any) {
	words := make([]string, len(columns))
	for i, column := range columns {
		words[i] = fmt.Sprint(column)
	}
	m.lines = append(m.lines, strings.Join(words, "\t"))
}

// table is what has been printed so far, in columns.
func (m *matrix) table() string {
	rows := "all rows of the truth suite"
	if every := os.Getenv("KERNELS_EVERY"); every != "" {
		rows = "one in " + every + " rows of the truth suite"
	}
	if only := os.Getenv("KERNELS_ONLY"); only != "" {
		rows += fmt.Sprintf(", of those whose name has %q", only)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%s; callers: programs run, and those that ended as they should\n", rows)
	columns := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(columns, strings.Join(m.lines, "\n"))
	_ = columns.Flush()
	fmt.Fprintf(&text, "in all: kernels %d, rows judged %d, failed %d\n", m.judged.kernels, m.judged.rows, m.judged.failed)
	return text.String()
}

// save leaves the table in build/kernels after each kernel: an hour's work is not lost
// with the run that is ended before the last one.
func (m *matrix) save(t *testing.T) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(mustBuildDir(t), "kernels", "table"), []byte(m.table()), 0o644); err != nil {
		t.Error(err)
	}
}

func (m *matrix) judgeKernel(t *testing.T, name, image string) {
	release, number, err := imageVersion(image)
	if err != nil {
		t.Fatal(err)
	}
	defer m.save(t)
	k := vmKernel{name: name, image: image, release: release, number: number}
	m.judged.kernels++
	k.ran = bootVM(t, image, "kernels/"+name, m.files, k.jobs(), vmCPUs(t, number))
	if len(k.ran) == 0 {
		t.FailNow() // it did not come up
	}
	k.found = readDoctor(t, k.ran["doctor-json"])
	k.saveDoctor(t)
	if !number.before(original) {
		m.judgeWidths(t, k, nil)
	} else {
		m.judgeWidths(t, k, m.oracle.rows(t, m.files))
	}
	judgeDoctor(t, k)
	m.judgeCallers(t, k)
}

// judgeWidths judges each width that the kernel can run. Without the call its rows are
// those of truth, by width, as far as an older kernel can have them.
func (m *matrix) judgeWidths(t *testing.T, k vmKernel, truth map[string][]row) {
	for _, width := range k.widths() {
		native, err := k.ran["native-"+width].rows()
		if err != nil {
			t.Errorf("%s natively: %v", width, err)
			m.print(k.release, "-", "native", width, 0, "", "", "all", k.ran["native-"+width].seconds, "")
			m.judged.failed++
			continue
		}
		note := ""
		if truth != nil {
			m.print(k.release, "-", "native", width, len(native), "", "", "", k.ran["native-"+width].seconds, "lacks the call")
			native = olderRows(t, truth[width], native, k.number)
			note = "by the rows of " + m.oracle.release
		} else {
			m.print(k.release, "-", "native", width, len(native), "", "", "", k.ran["native-"+width].seconds, "")
		}
		for _, mode := range vmModes() {
			m.judgeMode(t, k, mode, width, native, note)
		}
	}
}

func (m *matrix) judgeMode(t *testing.T, k vmKernel, mode vmMode, width string, native []row, note string) {
	job := k.ran[mode.name+"-"+width]
	if k.number.before(mode.since) {
		why, err := job.refused()
		if err != nil {
			t.Errorf("%s %s: since Linux %s, but on %s: %v", mode.name, width, mode.since, k.release, err)
		}
		why, _, _ = strings.Cut(why, ": use ") // the way out is for users
		m.print(k.release, mode.backend, mode.name, width, "", "", "", "", "", "not here: "+why)
		return
	}
	rows, err := job.rows()
	if err != nil {
		t.Errorf("%s %s: %v", mode.name, width, err)
		m.print(k.release, mode.backend, mode.name, width, len(rows), "", "", "all", job.seconds, note)
		m.judged.failed += len(native)
		return
	}
	// In part: on an older kernel an exception may find nothing to do.
	v := judge(native, rows, m.exceptions, mode.judgedAs(k.number), width, true)
	m.print(k.release, mode.backend, mode.name, width, v.rows, v.equal, v.excepted, len(v.failures), job.seconds, note)
	m.judged.rows += v.rows
	m.judged.failed += len(v.failures)
	argv := slices.Concat([]string{"pidfd-shim", "run"}, mode.flags, []string{"--", "truth-" + width}, k.truthFlags())
	report(t, v, k.name+"-"+width+"-"+mode.name, argv)
}

// vmKernel is an image and what was seen in it.
type vmKernel struct {
	name, image, release string
	number               version
	ran                  map[string]ranJob
	found                doctorReport
}

// full tells Debian's full flavour, which differs from its cloud flavour in x32.
func (k vmKernel) full() bool { return strings.HasSuffix(k.name, "-amd64") }

// widths are the compilations whose rows count: x32 where the kernel has the ABI.
func (k vmKernel) widths() []string {
	switch {
	case k.full():
		return []string{"mx32"}
	case k.found.state("x32") == "present":
		return allWidths
	}
	return widths
}

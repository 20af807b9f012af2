//go:build kernels

package tests

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"testing"
)

// oracle is a kernel that has the call, booted once: what callers with /proc
// directories meet there is the truth for kernels that lack it.
type oracle struct {
	image, release string
	native         map[string][]row
	ran            map[string]ranJob
}

func (o *oracle) rows(t *testing.T, files []vmFile) map[string][]row {
	t.Helper()
	if o.native != nil {
		return o.native
	}
	if o.image == "" {
		t.Fatal("this kernel has no pidfd_send_signal, and KERNELS_ORACLE names none to judge by")
	}
	release, number, err := imageVersion(o.image)
	if err != nil {
		t.Fatal(err)
	}
	// As an old kernel is run: by /proc directories.
	old := vmKernel{number: version{}}
	var jobs []vmJob
	for _, width := range allWidths {
		jobs = append(jobs, old.nativeJob(width))
	}
	for _, c := range vmCallers() {
		jobs = append(jobs, c.job("native", vmMode{}))
	}
	o.release = release
	o.ran = bootVM(t, o.image, "kernels/oracle", files, jobs, vmCPUs(t, number))
	o.native = map[string][]row{}
	for _, width := range allWidths {
		rows, err := o.ran["native-"+width].rows()
		if err != nil {
			t.Fatalf("%s natively on %s: %v", width, release, err)
		}
		o.native[width] = rows
	}
	return o.native
}

// olderRows is what a kernel that lacks the call would answer if it had it: truth with
// the differences of its version. A row that did not come as far as the call stays as
// it was there: `here`.
func olderRows(t *testing.T, truth, here []row, number version) []row {
	t.Helper()
	list, err := readDifferences("testdata/older-kernels.txt", number)
	if err != nil {
		t.Fatal(err)
	}
	newer := make(map[string]string, len(truth))
	for _, r := range truth {
		newer[r.id] = r.line
	}
	rows := make([]row, 0, len(here))
	for _, r := range here {
		line, known := newer[r.id]
		if !known {
			t.Errorf("row %s is not among the recorded ones", r.id)
		}
		if !strings.HasPrefix(r.line, "ret=- ") {
			r.line = line
			for _, d := range list {
				if d.rows.MatchString(r.id) {
					r.line = d.change.apply(r.line)
				}
			}
		}
		rows = append(rows, r)
	}
	return rows
}

// readDifferences reads lines "VERSION | rows | OLD => NEW | why": what kernels before
// VERSION do otherwise, in the words of docs/FIDELITY.md.
func readDifferences(path string, number version) ([]exception, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var list []exception
	scanner := bufio.NewScanner(f)
	for at := 1; scanner.Scan(); at++ {
		line := strings.TrimSpace(scanner.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		columns := strings.Split(line, " | ")
		var before version
		if len(columns) != 4 {
			return nil, fmt.Errorf("%s:%d: %d columns, want VERSION | rows | change | why", path, at, len(columns))
		}
		if _, err := fmt.Sscanf(columns[0], "%d.%d", &before.major, &before.minor); err != nil {
			return nil, fmt.Errorf("%s:%d: %q is no version: %w", path, at, columns[0], err)
		}
		change, err := parseChange(columns[2])
		if err != nil || change.replace == nil {
			return nil, fmt.Errorf("%s:%d: change %q is not OLD => NEW: %w", path, at, columns[2], err)
		}
		if number.before(before) {
			list = append(list, exception{number: at, rows: parseNames(columns[1]), change: change})
		}
	}
	return list, scanner.Err()
}

package policy

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write testdata/bad.golden anew; then read it")

// TestBadFiles has one mistake a file, and holds the parser to one line about it, at
// the place where it is.
func TestBadFiles(t *testing.T) {
	var got strings.Builder
	for _, path := range badFiles(t) {
		name := filepath.Base(path)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Parse(name, text)
		var list Errors
		if !errors.As(err, &list) {
			t.Errorf("%s: Parse says %v, want an Errors", name, err)
			continue
		}
		if len(list) != 1 {
			t.Errorf("%s: has one mistake, but got %d lines: %v", name, len(list), list.Unwrap())
		}
		line := list.Error()
		if strings.ContainsAny(line, "\n\r\x1b") || len(line) > 300 {
			t.Errorf("%s: no line to print: %q", name, line)
		}
		got.WriteString(list[0].Error() + "\n")
	}
	golden := filepath.Join("testdata", "bad.golden")
	if *update {
		if err := os.WriteFile(golden, []byte(got.String()), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got.String(), "\n")); diff != "" {
		t.Errorf("errors differ (-golden +got):\n%s", diff)
	}
}

func badFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "bad", "*.yaml"))
	if err != nil || len(files) < 100 {
		t.Fatalf("found %d bad files: %v", len(files), err)
	}
	return files
}

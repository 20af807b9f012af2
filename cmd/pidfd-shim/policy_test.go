package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// badPolicies are the parser's bad files, and two that would be costly to keep.
func badPolicies(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", "policy", "testdata", "bad", "*.yaml"))
	if err != nil || len(files) < 100 {
		t.Fatalf("found %d bad files: %v", len(files), err)
	}
	large := filepath.Join(t.TempDir(), "large.yaml")
	if err := os.WriteFile(large, bytes.Repeat([]byte("version: 1\n"), 10<<20/11), 0o600); err != nil {
		t.Fatal(err)
	}
	return append(files, large, t.TempDir())
}

// TestCheckSaysOneLine is about what a user sees of each bad file: one line with the
// place, nothing on stdout, and status 1.
func TestCheckSaysOneLine(t *testing.T) {
	for _, path := range badPolicies(t) {
		var out, errOut bytes.Buffer
		status := execute([]string{"policy", "check", path}, strings.NewReader(""), &out, &errOut)
		line := errOut.String()
		if status != statusFailed || out.Len() > 0 || strings.Count(line, "\n") != 1 || !strings.Contains(line, path+":") {
			t.Errorf("check %s: status %d, stdout %q, stderr %q", path, status, out.String(), line)
		}
	}
}

// TestRunSaysOneLine is the same for run, which then starts nothing.
func TestRunSaysOneLine(t *testing.T) {
	for _, path := range badPolicies(t) {
		var out, errOut bytes.Buffer
		status := execute([]string{"run", "--policy", path, "--", "/bin/echo", "started"}, strings.NewReader(""), &out, &errOut)
		line := errOut.String()
		if status != statusRun || out.Len() > 0 || strings.Count(line, "\n") != 1 || !strings.HasPrefix(line, "pidfd-shim: ") || !strings.Contains(line, path) {
			t.Errorf("run --policy %s: status %d, stdout %q, stderr %q", path, status, out.String(), line)
		}
	}
}

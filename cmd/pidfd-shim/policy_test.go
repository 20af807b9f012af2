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
// place, nothing on stdout, and status 1. What is no YAML stands below with a mark.
func TestCheckSaysOneLine(t *testing.T) {
	for _, path := range badPolicies(t) {
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			continue // TestCheckTakesDirectories
		}
		var out, errOut bytes.Buffer
		status := execute([]string{"policy", "check", path}, strings.NewReader(""), &out, &errOut)
		line, shown, _ := strings.Cut(errOut.String(), "\n")
		marked := strings.HasPrefix(shown, "  ") && strings.HasSuffix(shown, "^\n") && strings.Count(shown, "\n") == 2
		if status != statusFailed || out.Len() > 0 || marked != strings.Contains(line, ": not YAML: ") || !marked && shown != "" || !strings.Contains(line, path+":") {
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

// TestCheckTakesDirectories is what the unit's ExecReload relies on: an empty one is good, and
// one bad file among good ones is told.
func TestCheckTakesDirectories(t *testing.T) {
	dir := t.TempDir()
	check := func() (status int, out, errOut string) {
		var stdout, stderr bytes.Buffer
		status = execute([]string{"policy", "check", dir}, strings.NewReader(""), &stdout, &stderr)
		return status, stdout.String(), stderr.String()
	}
	if status, out, errOut := check(); status != 0 || out != dir+": no policies in it\n" || errOut != "" {
		t.Errorf("an empty one: status %d, %q, %q", status, out, errOut)
	}
	for name, text := range map[string]string{"good.yaml": "version: 1\nsyscalls: all\ndefault: deny\n", "bad.yaml": "version: 2\n", ".hidden.yaml": "x", "README": "x"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	status, out, errOut := check()
	if status != statusFailed || strings.Count(out, "\n") != 1 || !strings.Contains(out, "good.yaml: good") || !strings.HasPrefix(errOut, dir+"/bad.yaml:1:10: ") {
		t.Errorf("status %d, %q, %q", status, out, errOut)
	}
	var stdout, stderr bytes.Buffer
	if status := execute([]string{"policy", "check", "-"}, strings.NewReader("version: 2\n"), &stdout, &stderr); status != statusFailed || !strings.HasPrefix(stderr.String(), "-:1:10: ") {
		t.Errorf("standard input: status %d, %q, %q", status, &stdout, &stderr)
	}
}

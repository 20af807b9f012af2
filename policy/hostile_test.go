package policy

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestHostileFilesEndSoon is about files made to be slow. The bound is thirty times the
// processor's time that the slowest takes; without the bounds in tokens.go some take
// minutes, or the whole stack.
func TestHostileFilesEndSoon(t *testing.T) {
	const bound = 10 * time.Second
	size := scaled(maxSize - 100)
	fill := func(s string) string { return "version: 1\nrules:\n" + strings.Repeat(s, size/len(s)) }
	for name, text := range map[string]string{
		"one map":         fill("a: b\n"),
		"map and list":    fill("a:\n- b\n"),
		"indented maps":   fill("  a: b\n  c: d\n"),
		"flow maps":       fill("{a: b},"),
		"flow keys":       "{" + fill("a: b, "),
		"rules of lists":  fill("- [a]\n"),
		"colons":          fill(": "),
		"dashes":          fill("- "),
		"questions":       fill("? "),
		"brackets":        fill("["),
		"braces":          fill("{"),
		"closing":         fill("]"),
		"comments":        fill("#\n"),
		"spaces":          fill(" "),
		"newlines":        fill("\n"),
		"one word":        fill("a"),
		"words":           fill("a\n"),
		"open quote":      "\"" + fill("a\n"),
		"block text":      "a: |\n" + fill(" a\n"),
		"anchors":         fill("- &a a\n"),
		"aliases":         fill("- *a\n"),
		"long glob":       "version: 1\nrules: [{name: r, action: deny, match: {caller: {exe: [\"/" + strings.Repeat("*", size) + "\"]}}}]\n",
		"long word":       "version: 1\nerrno: " + strings.Repeat("E", size) + "\n",
		"long signal":     "version: 1\nrules: [{name: r, action: deny, match: {signals: [" + strings.Repeat("9", size) + "]}}]\n",
		"many signals":    "version: 1\nrules: [{name: r, action: deny, match: {signals: [" + strings.Repeat("9,", size/2) + "9]}}]\n",
		"many unknown":    "version: 1\nrules: [" + strings.Repeat("{b: 1},", scaled(10_000)) + "]\n",
		"many bad names":  "version: 1\nrules: [{name: r, action: deny, match: {signals: [" + strings.Repeat("SIGTEM,", scaled(40_000)) + "]}}]\n",
		"columns":         strings.Repeat(" ", size) + "a: b\n",
		"stairs":          stairs(scaled(1400)),
		"document starts": fill("---\n"),
		"full of keys":    "version: 1\n" + strings.Repeat("a: b\n", scaled(32_000)),
		"full of lists":   "version: 1\nrules:\n" + strings.Repeat("- [a]\n", scaled(24_000)),
		"full of maps":    "version: 1\nrules:\n" + strings.Repeat("- a: b\n", scaled(32_000)),
		"full of dashes":  "version: 1\nrules:\n" + strings.Repeat("- - - - a\n", scaled(19_000)),
		"full of flow":    "version: 1\nrules: [" + strings.Repeat("{a: b},", scaled(24_000)) + "]\n",
		"full of globs":   "version: 1\nrules: [{name: r, action: deny, match: {caller: {exe: [" + strings.Repeat("\"/*\", ", scaled(20_000)) + "x]}}}]\n",
		"full of rules":   "version: 1\nrules:\n" + strings.Repeat("- {name: r, action: deny}\n", scaled(11_000)),
	} {
		t.Run(name, func(t *testing.T) {
			before := processorTime(t)
			_, err := Parse("p.yaml", []byte(text))
			if list := Errors(nil); !errors.As(err, &list) || len(list) > maxErrors {
				t.Errorf("Parse says %v", err)
			}
			if used := processorTime(t) - before; used > bound {
				t.Errorf("took %v", used)
			}
		})
	}
}

// processorTime is what this process has used, whatever else the machine does.
func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// stairs is a map in a map in a map, one column further each.
func stairs(n int) string {
	var text strings.Builder
	for i := range n {
		text.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	return text.String()
}

// TestLoadTakesRegularFilesAlone must not wait for a writer, nor touch a device.
func TestLoadTakesRegularFilesAlone(t *testing.T) {
	dir := t.TempDir()
	fifo, large, good, link := filepath.Join(dir, "fifo"), filepath.Join(dir, "large"), filepath.Join(dir, "good"), filepath.Join(dir, "link")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(large, make([]byte, 10<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(good, []byte("version: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(good, link); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		fifo: "it is a FIFO", dir: "it is a directory", "/dev/zero": "it is a device", large: "it is larger than 1048576 bytes",
		filepath.Join(dir, "none"): "no such file", good + "/x": "not a directory", good: "", link: "",
	} {
		_, err := Load(path)
		switch {
		case want == "" && err != nil:
			t.Errorf("Load(%s): %v", path, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n")):
			t.Errorf("Load(%s) says %v, want one line with %q", path, err, want)
		}
	}
}

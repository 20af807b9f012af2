package tests

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestStructureOfLocks: each lock has a place in the order of docs/ARCHITECTURE.md, whose files exist.
func TestStructureOfLocks(t *testing.T) {
	text, err := os.ReadFile("../docs/ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	_, order, found := strings.Cut(string(text), "\n## Locks\n")
	if !found {
		t.Fatal("docs/ARCHITECTURE.md has no order of locks")
	}
	order, _, _ = strings.Cut(order, "\n## ")
	lock := regexp.MustCompile(`\bsync\.(RW)?Mutex\b`)
	has := map[string]bool{}
	for _, s := range sources(t) {
		if s.test || isTestCode(s.pkg) {
			continue
		}
		text, err := os.ReadFile(filepath.Join("..", s.path))
		if err != nil {
			t.Fatal(err)
		}
		if has[s.path] = lock.Match(text); has[s.path] && !strings.Contains(order, s.path) {
			t.Errorf("%s has a lock that docs/ARCHITECTURE.md gives no place", s.path)
		}
	}
	for _, path := range regexp.MustCompile(`[a-z/-]+/[a-z_]+\.go`).FindAllString(order, -1) {
		if !has[path] {
			t.Errorf("docs/ARCHITECTURE.md places a lock of %s, which has none", path)
		}
	}
}

package policy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestPageShowsThePoliciesAsTheyAre compares the tutorial with the files, so that what is
// tested is what is read.
func TestPageShowsThePoliciesAsTheyAre(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "docs", "POLICY.md"))
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join("..", "docs", "policies", "*.yaml"))
	if err != nil || len(files) != 5 {
		t.Fatalf("found %v: %v", files, err)
	}
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		shown := excerpt(string(text))
		if !strings.Contains(string(page), "policies/"+filepath.Base(path)) || !strings.Contains(string(page), shown) {
			t.Errorf("docs/POLICY.md does not show %s:\n%s", path, shown)
		}
	}
}

// excerpt is a policy from `default` to its tests, indented.
func excerpt(text string) string {
	_, text, _ = strings.Cut(text, "\ndefault:")
	text, _, _ = strings.Cut("default:"+text, "\n\ntests:")
	return "    " + strings.ReplaceAll(text, "\n", "\n    ") + "\n"
}

// TestPageNamesEverything keeps the reference complete.
func TestPageNamesEverything(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "docs", "POLICY.md"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, list := range [][]string{
		topKeys(), ruleKeys(), matchKeys(), callerKeys(), targetKeys(), testKeys(), callKeys(),
		relationNames(), scopeNames(), abiNames(), syscallNames(),
	} {
		names = append(names, list...)
	}
	for _, name := range names {
		if !strings.Contains(string(page), "`"+name) && !strings.Contains(string(page), " "+name+"`") {
			t.Errorf("docs/POLICY.md does not name `%s`", name)
		}
	}
}

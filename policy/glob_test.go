package policy

import (
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
)

func TestGlob(t *testing.T) {
	for _, c := range []struct {
		pattern string
		inPath  bool
		match   string // apart by spaces
		not     string
	}{
		{"/usr/bin/*", true, "/usr/bin/x /usr/bin/", "/usr/bin /usr/bin/x/y /usr/bin2"},
		{"/a/**", true, "/a/b /a/b/c /a/", "/a /ab /b/a/"},
		{"/a/**/z", true, "/a/b/z /a/b/c/z /a//z", "/a/z /a/bz"},
		{"**/sh", true, "/sh /bin/sh /a/b/sh", "/bin/bash sh/x /shh"},
		{"/b?n", true, "/bin /ban", "/bn /b/n /biin"},
		{"/[a-c]x", true, "/ax /cx", "/dx /x /-x"},
		{"/[!a-c]x", true, "/dx /-x", "/ax //x"},
		{"/[abc-]", true, "/a /- /c", "/d"},
		{`/\*\[`, true, "/*[", "/x["},
		{"*", false, "x a/b", ""},
		{"sh?", false, "sh1 sh/", "sh shab"},
		{"a*b*c", false, "abc aXbYc abbbc", "ab acb"},
		{"**", false, "x", ""},
	} {
		g, err := parseGlob(c.pattern, c.inPath)
		if err != nil {
			t.Errorf("%s: %v", c.pattern, err)
			continue
		}
		for _, text := range strings.Fields(c.match) {
			if !g.match([]byte(text)) {
				t.Errorf("%s does not match %q", c.pattern, text)
			}
		}
		for _, text := range strings.Fields(c.not) {
			if g.match([]byte(text)) {
				t.Errorf("%s matches %q", c.pattern, text)
			}
		}
	}
}

// TestGlobAgreesWithRegexp is over random patterns and texts of few letters.
func TestGlobAgreesWithRegexp(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 424))
	word := func(parts ...string) string {
		var text strings.Builder
		for range r.IntN(8) {
			text.WriteString(parts[r.IntN(len(parts))])
		}
		return text.String()
	}
	matched := 0
	for range scaled(30_000) {
		inPath := r.IntN(2) == 0
		pattern := word("a", "b", "/", "*", "**", "?", "[ab]", "[!a]", `\*`, ".")
		g, err := parseGlob(pattern, inPath)
		if err != nil {
			t.Fatal(err)
		}
		text := word("a", "b", "/", "*", ".", "ab", "\n")
		want := asRegexp(pattern, inPath).MatchString(text)
		if got := g.match([]byte(text)); got != want {
			t.Fatalf("%q in a path %v: matches %q: %v, want %v", pattern, inPath, text, got, want)
		}
		if want {
			matched++
		}
	}
	if matched < scaled(1000) {
		t.Errorf("only %d matched", matched)
	}
}

func asRegexp(pattern string, inPath bool) *regexp.Regexp {
	one, all := "[^/]", "**"
	if !inPath {
		one, all = "(?s:.)", "\x00"
	}
	return regexp.MustCompile("^" + strings.NewReplacer(
		all, "(?s:.*)", "*", one+"*", "?", one,
		"[ab]", "[ab]", "[!a]", map[bool]string{true: "[^/a]", false: "[^a]"}[inPath],
		`\*`, `\*`, ".", `\.`,
	).Replace(pattern) + "$")
}

// TestGlobIsNotSlow: a pattern that takes a backtracking matcher until the end of time.
func TestGlobIsNotSlow(t *testing.T) {
	g, err := parseGlob(strings.Repeat("*a", 400)+"b", false)
	if err != nil {
		t.Fatal(err)
	}
	if g.match([]byte(strings.Repeat("a", 4096))) {
		t.Error("matches")
	}
}

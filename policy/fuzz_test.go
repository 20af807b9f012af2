package policy

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pidfd-shim/pidfd-shim/tests/randpolicy"
)

// seeds are every file of ours, good and bad, and what the generator writes.
func seeds(f *testing.F) {
	f.Helper()
	for _, pattern := range []string{"testdata/bad/*.yaml", "testdata/good/*.yaml", "../docs/policies/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, path := range files {
			text, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text)
		}
	}
	g := randpolicy.New(3)
	for range 20 {
		f.Add([]byte(g.Policy()))
	}
}

// FuzzParse wants a policy that can be used, or errors of one line that lie within the
// file.
func FuzzParse(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := Parse("p.yaml", text)
		if err == nil {
			p.Registers()
			p.Warnings()
			p.Mutable()
			p.Test()
			return
		}
		var list Errors
		if !errors.As(err, &list) || len(list) == 0 {
			t.Fatalf("Parse says %v, want an Errors", err)
		}
		lines := bytes.Split(text, []byte("\n"))
		for _, e := range list {
			if e.Line < 1 || e.Line > len(lines) || e.Column < 1 || e.Column > len(lines[e.Line-1])+1 {
				t.Errorf("%v lies outside of a file of %d lines", e, len(lines))
			}
			if strings.ContainsAny(e.Error(), "\r\n\x00\x1b") || len(e.What) > 1000 {
				t.Errorf("not fit to be printed: %q", e.Error())
			}
		}
	})
}

// FuzzDecide holds any policy that parses to what the property test holds random ones
// to.
func FuzzDecide(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := Parse("p.yaml", text)
		if err != nil {
			return
		}
		g := randpolicy.New(uint64(len(text)))
		lines := p.Registers()
		for range 50 {
			agree(t, p, lines, g)
		}
	})
}

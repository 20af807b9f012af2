package tests

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Bounds of what a reader takes in at once: lines of a function's body, and of a file.
const (
	longestFunction = 60
	medianFunction  = 9
	p90Function     = 24
	longestFile     = 350
	mostFolders     = 12 // at the top
)

// wholeSource is a file of the program with its bodies.
type wholeSource struct {
	source
	whole *ast.File
	set   *token.FileSet
}

// wholeSources are the files that are no tests.
func wholeSources(t *testing.T) []wholeSource {
	t.Helper()
	return slices.DeleteFunc(parsedSources(t), func(s wholeSource) bool { return s.test || isTestCode(s.pkg) })
}

// parsedSources are all files with their bodies.
func parsedSources(t *testing.T) (all []wholeSource) {
	t.Helper()
	for _, s := range sources(t) {
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, filepath.Join("..", s.path), nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, wholeSource{s, file, set})
	}
	return all
}

func TestFunctionsAreShort(t *testing.T) {
	var lengths []int
	for _, p := range wholeSources(t) {
		for _, d := range p.whole.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Body == nil {
				continue
			}
			lines := max(1, p.set.Position(f.Body.Rbrace).Line-p.set.Position(f.Pos()).Line-1)
			if lengths = append(lengths, lines); lines > longestFunction {
				t.Errorf("%s: %s has %d lines, more than %d", p.path, f.Name.Name, lines, longestFunction)
			}
		}
	}
	slices.Sort(lengths)
	median, p90 := lengths[len(lengths)/2], lengths[len(lengths)*9/10]
	t.Logf("%d functions: median %d lines, p90 %d, longest %d", len(lengths), median, p90, lengths[len(lengths)-1])
	if median > medianFunction || p90 > p90Function {
		t.Errorf("median %d and p90 %d lines, more than %d and %d", median, p90, medianFunction, p90Function)
	}
}

func TestFilesAreShort(t *testing.T) {
	for _, p := range wholeSources(t) {
		if lines := p.set.File(p.whole.Pos()).LineCount(); lines > longestFile {
			t.Errorf("%s has %d lines, more than %d", p.path, lines, longestFile)
		}
	}
}

func TestExportedNamesAreExplained(t *testing.T) {
	for _, p := range wholeSources(t) {
		if p.whole.Name.Name == "main" {
			continue
		}
		for _, d := range p.whole.Decls {
			for _, name := range unexplained(d) {
				t.Errorf("%s: %s is exported and has no comment", p.path, name)
			}
		}
	}
}

// unexplained are the exported names of a declaration that no comment stands at. A group has
// one comment for all.
func unexplained(d ast.Decl) (names []string) {
	add := func(name *ast.Ident, comments ...*ast.CommentGroup) {
		if name.IsExported() && !slices.ContainsFunc(comments, func(c *ast.CommentGroup) bool { return c != nil }) {
			names = append(names, name.Name)
		}
	}
	switch d := d.(type) {
	case *ast.FuncDecl:
		add(d.Name, d.Doc)
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				add(s.Name, d.Doc, s.Doc, s.Comment)
			case *ast.ValueSpec:
				for _, name := range s.Names {
					add(name, d.Doc, s.Doc, s.Comment)
				}
			}
		}
	}
	return names
}

// TestFoldersAreFew: what is at the top is what a newcomer sees first.
func TestFoldersAreFew(t *testing.T) {
	folders := map[string]bool{}
	for _, s := range sources(t) {
		if top, _, below := strings.Cut(filepath.ToSlash(s.path), "/"); below {
			folders[top] = true
		}
	}
	for _, other := range []string{"dist", "examples", "scripts"} { // have no Go, or are modules of their own
		folders[other] = true
	}
	if len(folders) > mostFolders {
		t.Errorf("%d folders, more than %d", len(folders), mostFolders)
	}
}

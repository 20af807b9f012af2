package pidfdshim_test

import (
	"bytes"
	"flag"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/printer"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/api.txt anew")

// TestAPI compares what users of this package compile against, with the types of shim that it
// lends them, to what the last version had.
func TestAPI(t *testing.T) {
	got := append(declarations(t, ".", nil), declarations(t, "shim", lent(t))...)
	golden := filepath.Join("docs", "api.txt")
	if *update {
		if err := os.WriteFile(golden, []byte(strings.Join(got, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
	for _, line := range want {
		if !slices.Contains(got, line) {
			t.Errorf("gone: %s", line)
		}
	}
	for _, line := range got {
		if !slices.Contains(want, line) {
			t.Errorf("new: %s", line)
		}
	}
	if t.Failed() {
		t.Log("a line that is gone breaks programs: it needs a new minor version and a line in CHANGELOG.md; a new one needs the line. Then: go test -run TestAPI -update .")
	}
}

// lent are the names of shim that the root package makes its own.
func lent(t *testing.T) (names []string) {
	t.Helper()
	for _, line := range declarations(t, ".", nil) {
		for _, word := range strings.Fields(line) {
			if name, ok := strings.CutPrefix(word, "shim."); ok {
				names = append(names, strings.TrimRight(name, ",)"))
			}
		}
	}
	return names
}

// declarations are a package's exported ones, each on a line; of the named only, unless nil.
func declarations(t *testing.T, dir string, named []string) (lines []string) {
	t.Helper()
	set := token.NewFileSet()
	var files []*ast.File
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	pkg, err := doc.NewFromFiles(set, files, dir)
	if err != nil {
		t.Fatal(err)
	}
	add := func(name string, node any) {
		if named == nil || slices.Contains(named, name) {
			lines = append(lines, dir+": "+oneLine(t, set, node))
		}
	}
	for _, value := range slices.Concat(pkg.Consts, pkg.Vars) {
		for _, spec := range value.Decl.Specs {
			add(spec.(*ast.ValueSpec).Names[0].Name, spec)
		}
	}
	for _, f := range pkg.Funcs {
		add(f.Name, f.Decl)
	}
	for _, kind := range pkg.Types {
		add(kind.Name, kind.Decl)
		for _, f := range slices.Concat(kind.Funcs, kind.Methods) {
			if f.Recv == "" {
				add(f.Name, f.Decl)
			} else {
				add(kind.Name, f.Decl)
			}
		}
		for _, value := range slices.Concat(kind.Consts, kind.Vars) {
			add(kind.Name, value.Decl)
		}
	}
	return lines
}

// oneLine is a declaration without comments, bodies and what its package keeps to itself.
func oneLine(t *testing.T, set *token.FileSet, node any) string {
	t.Helper()
	if f, ok := node.(*ast.FuncDecl); ok {
		f.Body, f.Doc = nil, nil
	}
	if n, ok := node.(ast.Node); ok {
		ast.Inspect(n, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.Field:
				n.Doc, n.Comment = nil, nil
			case *ast.GenDecl:
				n.Doc = nil
			case *ast.TypeSpec:
				n.Doc, n.Comment = nil, nil
			case *ast.ValueSpec:
				n.Doc, n.Comment = nil, nil
			}
			return true
		})
	}
	var b bytes.Buffer
	if err := printer.Fprint(&b, set, node); err != nil {
		t.Fatal(err)
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

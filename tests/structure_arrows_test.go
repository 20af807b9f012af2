package tests

import (
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// upwards are the calls of package emulate that run up the list of its files, each with its reason.
var upwards = map[[2]string]string{
	{"inject", "route"}:           "what the table has found out of a call is asked once more where the caller makes it",
	{"resolve_number", "resolve"}: "pidfd_getfd names its target by a number and a descriptor of that process",
	{"send", "group"}:             "a group gets its signal member by member, and each of those is a send",
}

// TestStructureOfEmulate: a reader of package emulate goes down the list in its doc comment.
func TestStructureOfEmulate(t *testing.T) {
	rank := map[string]int{}
	for _, s := range wholeSources(t) {
		if s.path != filepath.Join("emulate", "doc.go") {
			continue
		}
		for _, line := range regexp.MustCompile(`(?m)^\t[a-z_ ]+$`).FindAllString(s.whole.Doc.Text(), -1) {
			for name := range strings.FieldsSeq(line) {
				rank[name] = len(rank)
			}
		}
	}
	seen := map[[2]string]bool{}
	for arrow, names := range callsBetween(t, "emulate") {
		for _, name := range arrow {
			if _, listed := rank[name]; !listed {
				t.Errorf("emulate/doc.go does not list %s.go", name)
			}
		}
		if rank[arrow[1]] > rank[arrow[0]] {
			continue
		}
		if seen[arrow] = true; upwards[arrow] == "" {
			t.Errorf("emulate/%s.go calls up, in %s.go: %s", arrow[0], arrow[1], strings.Join(names, ", "))
		}
	}
	for arrow := range upwards {
		if !seen[arrow] {
			t.Errorf("emulate/%s.go does not call %s.go any more: take it off the list", arrow[0], arrow[1])
		}
	}
}

// nothing imports every package as an empty one: calls within a package need no more.
type nothing struct{}

func (nothing) Import(name string) (*types.Package, error) {
	empty := types.NewPackage(name, path.Base(name))
	empty.MarkComplete()
	return empty, nil
}

// callsBetween are the functions of a package that one of its files uses of another.
func callsBetween(t *testing.T, dir string) map[[2]string][]string {
	t.Helper()
	set := token.NewFileSet()
	paths, err := filepath.Glob(filepath.Join("..", dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, name := range paths {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(set, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}}
	check := types.Config{Importer: nothing{}, Error: func(error) {}} // of what is imported nothing is known
	pkg, _ := check.Check(dir, set, files, info)
	calls := map[[2]string][]string{}
	in := func(at token.Pos) string { return strings.TrimSuffix(filepath.Base(set.Position(at).Filename), ".go") }
	for id, object := range info.Uses {
		f, ok := object.(*types.Func)
		if !ok || f.Pkg() != pkg {
			continue
		}
		if arrow := [2]string{in(id.Pos()), in(f.Pos())}; arrow[0] != arrow[1] {
			calls[arrow] = append(calls[arrow], f.Name())
		}
	}
	if len(calls) < 20 {
		t.Fatalf("found %d pairs of files: looked in the wrong place", len(calls))
	}
	return calls
}

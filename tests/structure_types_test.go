package tests

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"testing"
)

// mostMethods is how many a type may have: one with more does several things, whose states are
// better told apart.
const mostMethods = 30

func TestStructureOfTypes(t *testing.T) {
	methods := map[string]int{}
	for _, s := range sources(t) {
		if s.test || isTestCode(s.pkg) {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", s.path), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv != nil {
				of := f.Recv.List[0].Type
				if pointer, ok := of.(*ast.StarExpr); ok {
					of = pointer.X
				}
				if name, ok := of.(*ast.Ident); ok {
					methods[s.pkg+"."+name.Name]++
				}
			}
		}
	}
	for name, count := range methods {
		if count > mostMethods {
			t.Errorf("%s has %d methods, at most %d", name, count, mostMethods)
		}
	}
}

package tests

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"
)

// TestStructureOfRawCalls: a system call by its number is made in internal/sys alone, where each
// has a function of its own and the reason for which of the two ways it is made.
func TestStructureOfRawCalls(t *testing.T) {
	found := 0
	for _, s := range sources(t) {
		if _, excused := rawFiles[s.path]; excused || s.test || isTestCode(s.pkg) {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", s.path), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			from, ok := call.X.(*ast.Ident)
			if !ok || from.Name != "unix" && from.Name != "syscall" || !strings.HasPrefix(strings.TrimPrefix(call.Sel.Name, "Raw"), "Syscall") {
				return true
			}
			if s.pkg == "internal/sys" {
				found++
			} else {
				t.Errorf("%s: %s.%s: a raw call belongs in internal/sys", s.path, from.Name, call.Sel.Name)
			}
			return true
		})
	}
	if found < 20 {
		t.Errorf("internal/sys makes %d raw calls: looked in the wrong place", found)
	}
}

package tests

import (
	"go/ast"
	"go/token"
	"strings"
	"testing"
)

// TestExportedNamesAreUsedOutside keeps a package's face as small as its users need: nothing is
// exported that nothing outside uses, but for types of what is, constants of such a type or in one
// list with one that is used, and the kernel's own names. The root package is a library: its users are elsewhere. What only a test
// outside uses counts as used: it is how that test gets in.
func TestExportedNamesAreUsedOutside(t *testing.T) {
	used := namesUsedOutside(t)
	spoken := map[string]map[string]bool{} // names in what a package exports
	for _, s := range wholeSources(t) {
		if spoken[s.pkg] == nil {
			spoken[s.pkg] = map[string]bool{}
		}
		speaks(s.whole, spoken[s.pkg])
	}
	for _, s := range wholeSources(t) {
		if s.pkg == "." || s.whole.Name.Name == "main" {
			continue
		}
		for _, group := range exportedNames(s.whole) {
			listed := group.constants && (spoken[s.pkg][group.kind] || anyOf(group.names, used[s.pkg]))
			for _, name := range group.names {
				if !used[s.pkg][name] && !spoken[s.pkg][name] && !listed && !isKernels(name) {
					t.Errorf("%s: %s is exported, and nothing outside its package uses it", s.path, name)
				}
			}
		}
	}
}

// exported are names that one declaration exports.
type exported struct {
	names     []string
	constants bool
	kind      string // of constants: their type
}

// isKernels reports whether the name is one of the kernel's headers.
func isKernels(name string) bool { return name == strings.ToUpper(name) && strings.Contains(name, "_") }

func anyOf(names []string, used map[string]bool) bool {
	for _, name := range names {
		if used[name] {
			return true
		}
	}
	return false
}

// exportedNames are a file's exported names at the package's level, but for methods.
func exportedNames(file *ast.File) (groups []exported) {
	for _, d := range file.Decls {
		var g exported
		add := func(id *ast.Ident) {
			if id.IsExported() {
				g.names = append(g.names, id.Name)
			}
		}
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil {
				add(d.Name)
			}
		case *ast.GenDecl:
			g.constants = d.Tok == token.CONST
			for _, spec := range d.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					add(spec.Name)
				case *ast.ValueSpec:
					if id, ok := spec.Type.(*ast.Ident); ok && g.constants {
						g.kind = id.Name
					}
					for _, id := range spec.Names {
						add(id)
					}
				}
			}
		}
		groups = append(groups, g)
	}
	return groups
}

// speaks adds the exported names that stand in signatures, fields and types of what the file
// exports: who uses that has them in hand.
func speaks(file *ast.File, names map[string]bool) {
	note := func(n ast.Node) {
		ast.Inspect(n, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok && id.IsExported() {
				names[id.Name] = true
			}
			return true
		})
	}
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if d.Name.IsExported() {
				note(d.Type)
			}
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch spec := spec.(type) {
				case *ast.TypeSpec:
					if spec.Name.IsExported() {
						note(spec.Type)
					}
				case *ast.ValueSpec:
					if spec.Type != nil && spec.Names[0].IsExported() {
						note(spec.Type)
					}
				}
			}
		}
	}
}

// namesUsedOutside are by package the names by which others speak of it.
func namesUsedOutside(t *testing.T) map[string]map[string]bool {
	t.Helper()
	used := map[string]map[string]bool{}
	for _, s := range parsedSources(t) {
		packages := packagesOf(s.whole)
		ast.Inspect(s.whole, func(n ast.Node) bool {
			selector, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			id, ok := selector.X.(*ast.Ident)
			if !ok || packages[id.Name] == "" {
				return true
			}
			pkg := packages[id.Name]
			if used[pkg] == nil {
				used[pkg] = map[string]bool{}
			}
			used[pkg][selector.Sel.Name] = true
			return true
		})
	}
	return used
}

// packagesOf are a file's imports from this module, by the names that it gives them.
func packagesOf(file *ast.File) map[string]string {
	packages := map[string]string{}
	for _, spec := range file.Imports {
		pkg, ours := strings.CutPrefix(strings.Trim(spec.Path.Value, `"`), module)
		if !ours {
			continue
		}
		name := pkg[strings.LastIndex(pkg, "/")+1:]
		if spec.Name != nil {
			name = spec.Name.Name
		}
		packages[name] = pkg
	}
	return packages
}

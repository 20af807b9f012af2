package tests

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// pathLine is a line of docs/ARCHITECTURE.md, "Files of one call": a file and the functions by
// which a call goes through it.
type pathLine struct {
	file  string
	names []string
}

var (
	pathRow  = regexp.MustCompile("^\\| `([a-z_/]+\\.go)` \\| (`.*`) \\|$")
	pathName = regexp.MustCompile("`([A-Za-z.]+)`")
)

// TestStructureOfACall: the lists of files of one call are true and short. Each named function is in
// its file, the first one of a file is called from a file above it, and the others from
// somewhere on the way.
func TestStructureOfACall(t *testing.T) {
	lists := pathLists(t)
	forwarded := lists["One forwarded call"]
	var traced []pathLine
	for _, line := range forwarded {
		if line.file == "notify/listener.go" {
			traced = append(traced, lists["Under ptrace"]...)
			continue
		}
		traced = append(traced, line)
	}
	injected := append(forwarded[:len(forwarded):len(forwarded)], lists["One injected call"]...)
	for _, list := range []struct {
		what  string
		lines []pathLine
		most  int
	}{{"forwarded", forwarded, 20}, {"injected", injected, 25}, {"traced", traced, 22}} {
		t.Run(list.what, func(t *testing.T) {
			if n := len(list.lines); n > list.most || n < list.most/2 {
				t.Errorf("%d files, at most %d", n, list.most)
			}
			followPath(t, list.lines)
		})
	}
}

// pathLists reads the lists by their headings.
func pathLists(t *testing.T) map[string][]pathLine {
	t.Helper()
	text, err := os.ReadFile("../docs/ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	lists, heading := map[string][]pathLine{}, ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if title, ok := strings.CutPrefix(line, "### "); ok {
			heading = title
		} else if strings.HasPrefix(line, "## ") {
			heading = ""
		}
		if m := pathRow.FindStringSubmatch(line); m != nil && heading != "" {
			row := pathLine{file: m[1]}
			for _, name := range pathName.FindAllStringSubmatch(m[2], -1) {
				row.names = append(row.names, name[1])
			}
			lists[heading] = append(lists[heading], row)
		}
	}
	return lists
}

// pathStarts is how many lines begin a path: how handlers come to a loop, and a thread of it.
const pathStarts = 2

func followPath(t *testing.T, lines []pathLine) {
	t.Helper()
	opened, calls := map[string]bool{}, make([]map[string]bool, len(lines))
	all := map[string]bool{}
	for i, line := range lines {
		if opened[line.file] {
			t.Errorf("%s is opened twice", line.file)
		}
		opened[line.file], calls[i] = true, map[string]bool{}
		found := functionsOf(t, line.file)
		for _, name := range line.names {
			if found[name] == nil {
				t.Errorf("%s has no function %s", line.file, name)
				continue
			}
			ast.Inspect(found[name].Body, func(n ast.Node) bool {
				if id, ok := n.(*ast.Ident); ok {
					calls[i][id.Name], all[id.Name] = true, true
				}
				return true
			})
		}
	}
	for i, line := range lines[pathStarts:] {
		for j, name := range line.names {
			_, short, method := strings.Cut(name, ".")
			if !method {
				short = name
			}
			above := all
			if j == 0 {
				above = map[string]bool{}
				for _, c := range calls[:i+pathStarts] {
					for called := range c {
						above[called] = true
					}
				}
			}
			if !above[short] {
				t.Errorf("%s: nothing on the way calls %s before", line.file, name)
			}
		}
	}
}

// functionsOf are a file's functions and methods, as Type.Name.
func functionsOf(t *testing.T, path string) map[string]*ast.FuncDecl {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", path), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]*ast.FuncDecl{}
	for _, d := range file.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		name := f.Name.Name
		if f.Recv != nil {
			of := f.Recv.List[0].Type
			if pointer, ok := of.(*ast.StarExpr); ok {
				of = pointer.X
			}
			name = of.(*ast.Ident).Name + "." + name
		}
		found[name] = f
	}
	return found
}

package tests

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/pidfd-shim/pidfd-shim/"

// rank gives each package its height: it may import what is strictly lower, plus
// what neighbours allows. A new package needs a line here, which is the moment to
// think about where it belongs.
var rank = map[string]int{
	"arch":                0,
	"arch/amd64":          1,
	"arch/386":            1,
	"arch/abi":            1,
	"internal/sys":        1,
	"internal/kernel":     2,
	"internal/suggest":    0,
	"internal/web":        0,
	"internal/accounts":   0,
	"internal/proc":       2,
	"shim":                2,
	"internal/helper":     2,
	"internal/tracee":     2,
	"internal/task":       2,
	"internal/family":     3,
	"internal/inject":     3,
	"notify":              3,
	"notify/ptrace":       3,
	"emulate":             3,
	"policy":              3,
	"policy/oci":          3,
	"internal/front":      3,
	"internal/role":       1,
	"internal/audit":      3,
	"internal/metrics":    3,
	"internal/report":     3,
	"internal/bench":      4,
	"internal/learn":      4,
	"docs/policies":       0,
	"internal/supervisor": 4,
	"internal/confine":    4,
	"internal/agent":      5,
	"internal/life":       5,
	"internal/launch":     4,
	".":                   6, // the library
	"cmd/pidfd-shim":      7,
}

// neighbours are imports between packages of one height, each with its reason.
var neighbours = map[[2]string]string{
	{"arch/abi", "arch/amd64"}:           "the table has the entry of each ABI",
	{"arch/abi", "arch/386"}:             "the table has the entry of each ABI",
	{"internal/task", "internal/proc"}:   "a task is looked at through procfs",
	{"internal/task", "internal/kernel"}: "and with what the kernel has",
	{"emulate", "internal/family"}:       "whom a caller's descriptor means is asked where every other descriptor is resolved",
	{"emulate", "policy"}:                "a call is judged where the kernel would judge its sender, between two of emulate's checks",
}

// source is one Go file of the module, parsed to its imports and comments.
type source struct {
	path string // from the module's root
	pkg  string // its directory
	file *ast.File
	test bool
}

func (s source) imports() []string {
	var paths []string
	for _, spec := range s.file.Imports {
		path, _ := strconv.Unquote(spec.Path.Value)
		paths = append(paths, path)
	}
	return paths
}

// sources parses every Go file, whatever its build constraints.
func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && path != ".." && (strings.HasPrefix(name, ".") || name == "testdata" || name == "bin" || name == "build" || name == "examples") {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		path, _ = filepath.Rel("..", path)
		all = append(all, source{path, filepath.ToSlash(filepath.Dir(path)), file, strings.HasSuffix(name, "_test.go")})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 10 {
		t.Fatalf("found %d Go files: looked in the wrong place", len(all))
	}
	return all
}

func isTestCode(pkg string) bool { return pkg == "tests" || strings.HasPrefix(pkg, "tests/") }

func TestImportsPointOneWay(t *testing.T) {
	for _, s := range sources(t) {
		if s.test || isTestCode(s.pkg) {
			continue
		}
		own, listed := height(s.pkg)
		if !listed {
			t.Errorf("%s: package %s has no rank", s.path, s.pkg)
			continue
		}
		for _, path := range s.imports() {
			other, ours := strings.CutPrefix(path, module)
			if !ours {
				continue
			}
			below, listed := height(other)
			_, excused := neighbours[[2]string{s.pkg, other}]
			if !listed || below > own || below == own && !excused {
				t.Errorf("%s: %s may not import %s", s.path, s.pkg, other)
			}
		}
	}
}

// height is a package's rank, doubled, so that X/internal/Y fits in just below X.
func height(pkg string) (int, bool) {
	owner, _, internal := strings.Cut(pkg, "/internal/")
	own, listed := rank[owner]
	if internal {
		return 2*own - 1, listed
	}
	return 2 * own, listed
}

func TestEveryPackageHasADocComment(t *testing.T) {
	documented := map[string]bool{}
	for _, s := range sources(t) {
		if s.test {
			continue
		}
		documented[s.pkg] = documented[s.pkg] || s.file.Doc != nil
	}
	for pkg, yes := range documented {
		if !yes {
			t.Errorf("package %s has no comment: what it is, what it never does, which file to read first", pkg)
		}
	}
}

// rawFiles may import unsafe and make system calls by number outside of internal/sys.
var rawFiles = map[string]string{
	"internal/front/catch_unsafe.go":                   "the signal handlers, which run on no goroutine",
	"internal/front/internal/execstate/pure_unsafe.go": "what runs before the Go runtime",
}

func TestUnsafeStaysInItsPackage(t *testing.T) {
	for _, s := range sources(t) {
		if _, excused := rawFiles[s.path]; excused || s.test || s.pkg == "internal/sys" {
			continue
		}
		for _, path := range s.imports() {
			if path == "unsafe" {
				t.Errorf("%s imports unsafe: only internal/sys may", s.path)
			}
		}
	}
}

// cgo is for libseccomp and for saving ignored signals, one file each.
func TestCgoStaysInTwoFiles(t *testing.T) {
	files := map[string][]string{}
	for _, s := range sources(t) {
		for _, path := range s.imports() {
			if path == "C" || strings.HasPrefix(path, "github.com/seccomp/libseccomp-golang") {
				files[path] = append(files[path], s.path)
			}
		}
	}
	for path, users := range files {
		if len(users) > 1 {
			t.Errorf("%q is imported by %v: one file is enough", path, users)
		}
	}
}

func TestArchIsPure(t *testing.T) {
	impure := map[string]bool{"os": true, "syscall": true, "time": true, "unsafe": true, "log": true, "log/slog": true, "C": true}
	for _, s := range sources(t) {
		if s.test || s.pkg != "arch" && !strings.HasPrefix(s.pkg, "arch/") {
			continue
		}
		for _, path := range s.imports() {
			if impure[path] {
				t.Errorf("%s imports %s: arch is bytes and integers in, values out", s.path, path)
			}
		}
	}
}

// The go command drops a file called x_386.go on every other machine, silently.
func TestNoFileNameIsABuildConstraint(t *testing.T) {
	for _, s := range sources(t) {
		name := strings.TrimSuffix(strings.TrimSuffix(s.path, ".go"), "_test")
		for _, arch := range []string{"_386", "_amd64", "_arm64", "_arm"} {
			if strings.HasSuffix(name, arch) {
				t.Errorf("%s: the name is a build constraint", s.path)
			}
		}
	}
}

func TestArch386IsImportedAsI386(t *testing.T) {
	for _, s := range sources(t) {
		for _, spec := range s.file.Imports {
			if spec.Path.Value == strconv.Quote(module+"arch/386") && (spec.Name == nil || spec.Name.Name != "i386") {
				t.Errorf("%s: import arch/386 as i386", s.path)
			}
		}
	}
}

package tests

import (
	"go/build"
	"go/scanner"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// abiWords name an ABI, a register or a machine.
var abiWords = regexp.MustCompile(`(?i)amd64|i386|x32|x86|orig_?rax|^rax$|^Reg(R[A-D]X|R[SD]I|RIP|CS)$`)

// abiFiles may say them outside of arch and internal/sys.
var abiFiles = map[string]string{
	"policy/oci/compile_cgo.go": "libseccomp's own constants, whose library has every machine",
	"policy/profile.go":         "the names that a runtime's profile has",
}

// TestStructureOfABIs: what names an ABI, a register or a number is an entry in arch, so that
// another architecture is one more. Comments may say how it is on a machine; code may not.
func TestStructureOfABIs(t *testing.T) {
	used := map[string]bool{}
	for _, s := range sources(t) {
		if s.test || isTestCode(s.pkg) || s.pkg == "arch" || strings.HasPrefix(s.pkg, "arch/") || s.pkg == "internal/sys" {
			continue
		}
		for _, found := range abiWordsOf(t, s.path) {
			if _, excused := abiFiles[s.path]; excused {
				used[s.path] = true
				continue
			}
			t.Errorf("%s: that belongs in arch", found)
		}
	}
	for file := range abiFiles {
		if !used[file] {
			t.Errorf("%s says none of those words any more: no exception", file)
		}
	}
}

// abiWordsOf are where a file's code says them, or the number of a call.
func abiWordsOf(t *testing.T, path string) (found []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", path))
	if err != nil {
		t.Fatal(err)
	}
	files := token.NewFileSet()
	var sc scanner.Scanner
	sc.Init(files.AddFile(path, -1, len(text)), text, nil, 0)
	var before [2]string
	for {
		pos, tok, lit := sc.Scan()
		if tok == token.EOF {
			return found
		}
		number := tok == token.INT && before == [2]string{"Nr", ":"}
		if number || (tok == token.IDENT || tok == token.STRING) && abiWords.MatchString(lit) {
			found = append(found, files.Position(pos).String()+": "+lit)
		}
		before[0], before[1] = before[1], lit
		if tok == token.COLON {
			before[1] = ":"
		}
	}
}

// TestOtherMachines: a build for a machine that arch has no entries for says so, in one sentence. Not
// the whole build, for which the standard library would have to be built for that machine, too.
func TestOtherMachines(t *testing.T) {
	applies, err := (&build.Context{GOOS: "linux", GOARCH: "arm64", Compiler: "gc"}).MatchFile("../arch", "unsupported.go")
	if err != nil || !applies {
		t.Fatalf("unsupported.go is left out: %v", err)
	}
	cmd := exec.Command("go", "tool", "compile", "-p", "arch", "-o", filepath.Join(t.TempDir(), "arch.a"), "../arch/unsupported.go")
	cmd.Env = append(os.Environ(), "GOARCH=arm64")
	text, err := cmd.CombinedOutput()
	const want = "arch has no entries for this machine"
	if err == nil || !strings.Contains(string(text), want) || strings.Count(string(text), "\n") != 1 {
		t.Errorf("%v: %s", err, text)
	}
}

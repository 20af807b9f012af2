package tests

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestLibraryEmbeds builds the example of an embedding program, which is a module of its own,
// without cgo, and runs it: libseccomp and C are not among what it imports.
func TestLibraryEmbeds(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "embed")
	build := exec.Command("go", "build", "-o", bin, ".")
	build.Dir, build.Env = "../examples/embed", append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	var stderr bytes.Buffer
	run := exec.Command(bin, "echo $PPID; sleep 60 & kill $!; wait; kill -0 1 || true")
	run.Stderr = &stderr
	out, err := run.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	for _, want := range []string{"1", "kill 15 false errno 0", "kill 0 true operation not permitted"} {
		if !slices.Contains(lines, want) {
			t.Errorf("no line %q in\n%s%s", want, out, &stderr)
		}
	}
	list := exec.Command("go", "list", "-deps", ".")
	list.Dir, list.Env = "../examples/embed", append(os.Environ(), "CGO_ENABLED=1")
	deps, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []string{"github.com/seccomp/libseccomp-golang", "github.com/spf13/cobra", "net/http", "\nruntime/cgo\n"} {
		if strings.Contains(string(deps), c) {
			t.Errorf("who imports the library pulls in %s", strings.TrimSpace(c))
		}
	}
}

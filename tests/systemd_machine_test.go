//go:build kernels

package tests

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pidfd-shim/pidfd-shim/tests/skip"
)

// inside is what was seen in the machine, by section.
type inside map[string]string

// bootSystemd boots the machine, with what stage puts there, and reads what it sent.
func bootSystemd(t *testing.T, image, root string, stage func(t *testing.T, dir string)) inside {
	t.Helper()
	base := filepath.Join(mustBuildDir(t), "systemd")
	dir := t.TempDir()
	stage(t, dir)
	if err := concatenate(base+".cpio", root, archive(t, dir)); err != nil {
		t.Fatal(err)
	}
	_, number, err := imageVersion(image)
	if err != nil {
		t.Fatal(err)
	}
	err = machine{
		image: image, base: base, cpus: vmCPUs(t, number), memory: "2G",
		accel: os.Getenv("SYSTEMD_ACCEL"),
		line:  bootLine + " rdinit=/init systemd.wants=inside.service systemd.show_status=no",
	}.run(t)
	console, _ := os.ReadFile(base + ".console")
	text, readErr := os.ReadFile(base + ".out")
	if err = errors.Join(err, readErr); err != nil {
		t.Fatalf("%v\nthe end of build/systemd.console: %s", err, tail(string(console), 3000))
	}
	seen := inside{}
	for part := range strings.SplitSeq("\n"+strings.ReplaceAll(string(text), "\r", ""), "\n=== ") {
		name, body, _ := strings.Cut(part, "\n")
		if strings.HasPrefix(name, "failed: ") {
			t.Errorf("%s\n%s", name, tail(body, 3000))
		}
		seen[name] = body
	}
	if _, whole := seen["end"]; !whole {
		t.Fatalf("it broke off (build/systemd.out):\n%s\n%s", tail(string(text), 3000), tail(string(console), 1000))
	}
	return seen
}

// stageSystemd is what is ours in TestSystemd's machine.
func stageSystemd(t *testing.T, stage string) {
	t.Helper()
	files := map[string]string{
		"init": "systemd/init", "etc/systemd/system/inside.service": "systemd/inside.service", "test/inside.sh": "systemd/inside.sh",
		"test/pidfd-shim.deb": makeDeb(t), "test/container-load": buildLoad(t),
	}
	for _, width := range widths {
		files["test/truth-"+width] = buildTruth(t, "truth", width)
	}
	for name, source := range files {
		text, err := os.ReadFile(source)
		stageFile(t, filepath.Join(stage, name), text, err)
	}
	plain := &container{t: t, spec: baseSpec()}
	plain.spec.Process.Args = []string{"@ARGS@"}
	text, err := json.Marshal(plain.spec)
	stageFile(t, filepath.Join(stage, "test/plain.json"), text, err)
	plain.notify("/run/pidfd-shim/agent.sock", "", "landlock_restrict_self")
	text, err = json.Marshal(plain.spec)
	stageFile(t, filepath.Join(stage, "test/under.json"), text, err)
	for _, policy := range []string{"good", "bad"} {
		plain.notify("/run/pidfd-shim/agent.sock", "policy="+policy)
		text, err = json.Marshal(plain.spec)
		stageFile(t, filepath.Join(stage, "test", policy+".json"), text, err)
	}
}

// archive makes one of a directory, as kernels unpack.
func archive(t *testing.T, dir string) string {
	t.Helper()
	archive := dir + ".cpio"
	cmd := exec.Command("sh", "-c", `find . -mindepth 1 | cpio --quiet -o -H newc -R 0:0 >"$0"`, archive)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		skip.If(t, fmt.Errorf("cpio: %w\n%s", err, out))
	}
	t.Cleanup(func() { os.Remove(archive) })
	return archive
}

func stageFile(t *testing.T, path string, text []byte, err error) {
	t.Helper()
	if err = errors.Join(err, os.MkdirAll(filepath.Dir(path), 0o755)); err == nil {
		err = os.WriteFile(path, text, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// makeDeb builds the package and returns its path.
func makeDeb(t *testing.T) string {
	t.Helper()
	cmd := exec.Command("make", "--no-print-directory", "-s", "deb")
	cmd.Dir = ".."
	out, err := cmd.CombinedOutput()
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	deb := filepath.Join("..", lines[len(lines)-1])
	if _, statErr := os.Stat(deb); err != nil || statErr != nil {
		t.Fatalf("make deb: %v\n%s", errors.Join(err, statErr), out)
	}
	return deb
}

// concatenate joins archives: a kernel unpacks one after the other.
func concatenate(path string, parts ...string) error {
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	defer out.Close()
	for _, part := range parts {
		in, err := os.Open(part)
		if err != nil {
			return err
		}
		_, err = io.Copy(out, in)
		_ = in.Close()
		if err != nil {
			return err
		}
	}
	return out.Close()
}

package tests

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/pidfd-shim/pidfd-shim/tests/skip"
)

// TestPodman runs the truth suite in podman's containers, over each runtime, with and
// without our profile: rows are as in TestContainerRows, and each call that the agent
// answered is counted. It is a part of make runtimes.
func TestPodman(t *testing.T) {
	if os.Getenv("PIDFD_SHIM_RUNTIMES") == "" {
		skip.Extra(t, errors.New("a part of make runtimes"))
	}
	if _, err := exec.LookPath("podman"); err != nil {
		skip.If(t, err)
	}
	exceptions, err := readExceptions()
	if err != nil {
		t.Fatal(err)
	}
	for i, runtime := range runtimes {
		width := widths[i%len(widths)]
		t.Run(runtime+"-"+width, func(t *testing.T) {
			argv := append([]string{"/truth-" + width}, rowsWanted()...)
			truth := buildTruth(t, "truth", width)
			native := newPodman(t, runtime, truth).rows(nil, argv...)
			if len(native) < minRows && rowsWanted() == nil {
				t.Errorf("%d rows, the suite promises %d", len(native), minRows)
			}
			for _, mode := range servedModes {
				t.Run(mode, func(t *testing.T) {
					agent := startAgent(t, "--mode", mode)
					p := newPodman(t, runtime, truth)
					p.notify(agent.socket, "", "landlock_restrict_self")
					served := p.rows(p.spec.Linux.Seccomp, argv...)
					judgeContainer(t, native, served, exceptions, mode, width)
					calls, made := callsOf(t, agent.log.awaitFor(t, agentDeadline, `msg="served until its end"`)), called(served)
					t.Logf("%d calls were answered; %d rows made one or more", calls, made)
					if calls < made {
						t.Errorf("%d calls were answered, but %d rows made one", calls, made)
					}
				})
			}
		})
	}
}

// called counts the rows whose call was made.
func called(rows []row) int {
	n := 0
	for _, r := range rows {
		if !strings.HasPrefix(r.line, "ret=- ") {
			n++
		}
	}
	return n
}

// callsOf reads the count of "served until its end".
func callsOf(t *testing.T, line string) int {
	t.Helper()
	_, count, _ := strings.Cut(line, "calls=")
	n, err := strconv.Atoi(count)
	if err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	return n
}

// podman is a container whose bundle podman writes; ours lends its root directory.
type podman struct{ *container }

func newPodman(t *testing.T, runtime, truth string) podman {
	t.Helper()
	p := podman{newContainer(t, runtime, false, truth)}
	for _, dir := range []string{"etc", "run", "sys"} {
		p.must(os.Mkdir(filepath.Join(p.dir, "rootfs", dir), 0o755))
	}
	return p
}

// rows runs the truth suite under a profile, or without any.
func (p podman) rows(profile *specs.LinuxSeccomp, argv ...string) []row {
	p.t.Helper()
	security := "seccomp=unconfined"
	if profile != nil {
		path := filepath.Join(p.dir, "profile.json")
		text, err := json.Marshal(profile)
		p.must(err)
		p.must(os.WriteFile(path, text, 0o644))
		security = "seccomp=" + path
	}
	words := []string{
		"podman", "--root", filepath.Join(p.dir, "store"), "--runroot", filepath.Join(p.dir, "run"),
		"--cgroup-manager", "cgroupfs", "--events-backend", "none", "--runtime", p.runtime,
		"run", "--rm", "--name", p.id, "--network", "none", "--security-opt", security, "--cap-drop", "all",
		"--ulimit", "nofile=1024:1024", "--ulimit", "nproc=4096:4096", // podman's own may be more than we may set
	}
	for _, name := range ourCapabilities() {
		words = append(words, "--cap-add", name)
	}
	words = append(words, "--rootfs", filepath.Join(p.dir, "rootfs"))
	ctx, cancel := context.WithTimeout(p.t.Context(), runDeadline)
	defer cancel()
	rows, err := parseRows(p.outputOf(ctx, p.apart(ctx, append(words, argv...)...)))
	p.must(err)
	return rows
}

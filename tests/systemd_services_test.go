//go:build kernels

package tests

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pidfd-shim/pidfd-shim/tests/skip"
)

// serviceWays are those of tests/systemd/services.sh.
var serviceWays = []string{"notify", "ptrace-protect"}

// leastStates are as many as services.sh shows of each way: fewer are a script that broke.
const leastStates = 18

// TestSystemdServices boots a machine with Debian's own systemd and runs services there, with and
// without `run` in ExecStart: systemd has to see the same.
func TestSystemdServices(t *testing.T) {
	image, root := os.Getenv("SYSTEMD_KERNEL"), os.Getenv("SYSTEMD_IMAGE")
	if image == "" || root == "" {
		skip.If(t, errors.New("needs SYSTEMD_KERNEL and SYSTEMD_IMAGE: make runtimes"))
	}
	seen := bootSystemd(t, image, root, stageServices)
	states := 0
	for name, want := range seen {
		state, native := strings.CutSuffix(name, ": native")
		if !native {
			continue
		}
		states++
		for _, way := range serviceWays {
			if got := seen.section(t, state+": "+way); got != want {
				t.Errorf("%s: %s:\n%snatively:\n%s", state, way, got, want)
			}
		}
	}
	if states < leastStates {
		t.Errorf("%d states were seen, want at least %d", states, leastStates)
	}
}

func stageServices(t *testing.T, stage string) {
	t.Helper()
	for name, source := range map[string]string{
		"init": "systemd/init", "etc/systemd/system/inside.service": "systemd/inside.service",
		"test/inside.sh": "systemd/services.sh", "test/service.sh": "systemd/service.sh", "test/pidfd-shim": buildShim(t),
	} {
		text, err := os.ReadFile(source)
		stageFile(t, filepath.Join(stage, name), text, err)
	}
}

package tests

import (
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestSupervisorOutlastsMemory: where memory runs out the kernel chooses COMMAND's processes,
// which keep what they had inherited, before the supervisor and the front.
func TestSupervisorOutlastsMemory(t *testing.T) {
	shim := buildShim(t)
	for _, backend := range []string{"notify", "ptrace"} {
		t.Run(backend, func(t *testing.T) {
			const show = `cat /proc/self/oom_score_adj; front=$(cut -d' ' -f4 /proc/$PPID/stat)
				for i in $(seq 1000); do
					[ $(cat /proc/$PPID/oom_score_adj) -lt 300 ] && [ $(cat /proc/$front/oom_score_adj) -lt 300 ] && break
					sleep 0.01
				done
				[ $i -lt 1000 ] && echo lower; cat /proc/self/oom_score_adj`
			cmd := exec.Command("sh", "-c", `echo 300 >/proc/self/oom_score_adj && exec "$@"`, "sh", shim, "run", "--backend", backend, "--", "sh", "-c", show)
			cmd.WaitDelay = time.Minute
			out, err := cmd.CombinedOutput()
			if got := strings.Fields(string(out)); err != nil || strings.Join(got, " ") != "300 lower 300" {
				t.Errorf("%q, %v: want COMMAND's as it was, and lower ones of ours", got, err)
			}
		})
	}
}

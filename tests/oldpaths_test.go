package tests

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// oldKernels are those whose lack of a feature takes a way of its own, newest first.
var oldKernels = []struct{ name, since string }{
	{"6.12", "fdinfo in place of PIDFD_GET_INFO"},
	{"6.8", "no thread pidfds: descriptor tables are compared"},
	{"5.5", "no pidfd_getfd: descriptors are opened again"},
	{"5.2", "no pidfd_open: /proc directories"},
	{"5.0", "no pidfd_send_signal"},
}

// notThere are rows about what those kernels do not have, or whose interruptions are
// not the same twice: a thread's pidfd is 6.9's, and without pidfd_getfd or pidfd_open
// it becomes its process's.
//
// The machine's init may be more privileged than we are (in a container): the pid
// namespace of its directory cannot be read then, and before 5.3 that is all there is.
// Landlock came in 5.13, and is watched where calls can be continued. A group whose
// leader was reaped can be signalled only where the kernel takes the flag.
var notThere = globs("storm/*, */fd=thread-*, */to=own-thread/*, */to=own-leader-thread/*, state=init/*, around/landlock/*, group=reaped-leader/*")

// TestOldPaths runs every row as if on older kernels: what a mode answers there is what
// it answers here, by the newest rules. OLD_KERNELS=5.5 runs a part.
func TestOldPaths(t *testing.T) {
	shim := buildTestShim(t)
	truth := append([]string{buildTruth(t, "truth", "m64")}, rowsWanted()...)
	for _, mode := range []string{"forward", "emulate"} {
		run := []string{shim, "run", "--backend", "notify", "--mode", mode, "--semantics", "mainline", "--pretend"}
		// Calls that the kernel may run in the caller would be: it has other rules there.
		here := inBoth(runTruth(t, slices.Concat(run, []string{"nocontinue", "--"}, truth)...))
		for _, old := range oldKernels {
			if only := os.Getenv("OLD_KERNELS"); only != "" && !slices.Contains(strings.Split(only, ","), old.name) {
				continue
			}
			if old.name == "5.0" && mode == "forward" {
				continue
			}
			t.Run(mode+"/"+old.name, func(t *testing.T) {
				argv := slices.Concat(quiet, run, []string{old.name, "--"}, truth)
				v := judge(here, inBoth(runTruth(t, argv...)), nil, mode, "m64", false)
				t.Logf("%s (%s): %s", old.name, old.since, v)
				report(t, v, "old-"+mode+"-"+old.name, argv)
			})
		}
	}
}

// quiet is for what is logged of init.
var quiet = []string{"sh", "-c", `exec "$@" 2>/dev/null`, "sh"}

func inBoth(rows []row) []row {
	return slices.DeleteFunc(rows, func(r row) bool { return notThere.MatchString(r.id) })
}

package front

import (
	"os"
	"strings"
	"testing"
)

// environment has the rows that every build has to pass.
var environment = []row{
	{name: "the Go runtime's variables", script: `
		export GODEBUG=inittrace=1,gctrace=1 GOTRACEBACK=crash GOMAXPROCS=1 GOGC=1
		$RUN sh -c 'env | grep ^GO | sort'`},
	{name: "bad ones", script: `
		GODEBUG=cgocheck=2 GOMEMLIMIT=bad GOGC=x GOMAXPROCS=-7 $RUN sh -c 'env | grep ^GO | sort; exit 3'`},
}

// TestEnvironment: what is in the environment is COMMAND's, not our runtime's.
func TestEnvironment(t *testing.T) {
	compare(t, append(environment, row{name: "the limit of CPU time", script: `
		ulimit -t 100; ulimit -c 0; $RUN sh -c 'ulimit -t'`}))
}

// TestPureBuild: so it is in the build without cgo.
func TestPureBuild(t *testing.T) {
	path, err := build("pidfd-shim-pure", "env", "CGO_ENABLED=0", "go", "build", "-o")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range append(environment, row{name: "signals and descriptors", script: `
		trap '' TERM USR1 PIPE 40; $RUN grep -E 'Sig(Blk|Ign)' /proc/self/status
		$RUN ls /proc/self/fd <&- 2>/dev/null`}) {
		t.Run(r.name, func(t *testing.T) {
			if got, want := r.with(t, path+" run --"), r.with(t, ""); got != want {
				t.Errorf("%s\nnatively:\n%s", got, want)
			}
		})
	}
}

// limits are what a process can be left with, as words of bash.
var limits = []string{
	"ulimit -v 60000", "ulimit -v 400000", "ulimit -v 1000000", "ulimit -v 3000000",
	"ulimit -d 40000", "ulimit -d 100000", "ulimit -d 600000",
	"ulimit -n 6", "ulimit -n 12", "ulimit -n 20", "ulimit -n 30", "ulimit -t 3", "ulimit -f 0",
	"ulimit -u 1", "ulimit -u 10", "ulimit -u 40", "ulimit -u 400", "chrt --deadline --sched-runtime 1000000 --sched-period 10000000 --pid 0 $$",
}

// TestLimits: under any limit COMMAND runs as natively, or one line says why not.
func TestLimits(t *testing.T) {
	for _, limit := range limits {
		script := limit + `; exec setpriv --reuid 61234 --regid 61234 --clear-groups $RUN $PLAY status $PLAY pause 1`
		if os.Getuid() != 0 {
			script = limit + `; exec $RUN $PLAY status $PLAY pause 1`
		}
		t.Run(limit, func(t *testing.T) {
			r := row{script: script}
			native := r.run(t, "")
			for _, variant := range variants[1:3] {
				got := r.run(t, variant)
				ourLine := strings.HasPrefix(got, "pidfd-shim: ") && strings.HasSuffix(got, "[exit status 125]") && strings.Count(got, "\n") == 1
				if got != native && !ourLine {
					t.Errorf("%s:\n%s\nnatively:\n%s", variant, got, native)
				}
			}
		})
	}
}

package shim_test

import (
	"maps"
	"os"
	"runtime"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/shim"
	"github.com/pidfd-shim/pidfd-shim/tests/skip"
)

// TestWorkersRunSoon: where they may, threads that serve have more weight than others. None
// else of this process does, so that nothing that it starts inherits it.
func TestWorkersRunSoon(t *testing.T) {
	usual, err := niceOf(0)
	if err != nil {
		t.Fatal(err)
	}
	want := max(usual-shim.Urgency, -20)
	skip.Extra(t, mayBeNice(want, usual))
	before := threadsAt(t, want) // other tests', which are about to end
	const workers = 4
	pool, err := shim.NewPool(shim.Threads{Workers: workers, Spare: 4})
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	now := threadsAt(t, want)
	maps.DeleteFunc(now, func(tid int, _ bool) bool { return before[tid] })
	if len(now) != workers {
		t.Errorf("%d threads at nice %d that were not before, want %d", len(now), want, workers)
	}
}

func niceOf(tid int) (int, error) {
	attr, err := unix.SchedGetAttr(tid, 0)
	if err != nil {
		return 0, err
	}
	return int(attr.Nice), nil
}

// mayBeNice tries it on this thread.
func mayBeNice(nice, usual int) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Setpriority(unix.PRIO_PROCESS, 0, nice); err != nil {
		return os.NewSyscallError("setpriority", err)
	}
	return os.NewSyscallError("setpriority", unix.Setpriority(unix.PRIO_PROCESS, 0, usual))
}

func threadsAt(t *testing.T, nice int) map[int]bool {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	tids := map[int]bool{}
	for _, e := range entries {
		tid, _ := strconv.Atoi(e.Name())
		if now, err := niceOf(tid); err == nil && now == nice {
			tids[tid] = true
		}
	}
	return tids
}

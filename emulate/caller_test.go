package emulate

import (
	"log/slog"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/internal/kernel"
	"github.com/pidfd-shim/pidfd-shim/internal/proc"
	"github.com/pidfd-shim/pidfd-shim/internal/task"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// waiting is a backend whose callers all wait.
type waiting struct{}

func (waiting) Next(*shim.Call) error                 { return shim.ErrGone }
func (waiting) Blocked(*shim.Call) error              { return nil }
func (waiting) Answer(*shim.Call, shim.Verdict) error { return nil }

func testHandler(t *testing.T, mode Mode) *SendSignal {
	t.Helper()
	fs, err := proc.Open()
	if err != nil {
		t.Fatal(err)
	}
	self, err := task.ReadSelf(fs)
	if err != nil {
		t.Fatal(err)
	}
	features := kernel.ForRun()
	return New(Config{
		Mode: mode, Rules: NativeRules(features), Features: features, Proc: fs, Self: self, Backend: waiting{},
		Reader: func() *Reader { return nil },
		Watch:  &Watch{}, Suspicious: func() bool { return false }, Log: slog.New(slog.DiscardHandler),
	})
}

func openDescriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

// TestCallerCache: the callers seen last are kept, and no descriptor of the others.
func TestCallerCache(t *testing.T) {
	h := testHandler(t, ModeForward)
	pids := make([]int32, 3)
	for i := range pids {
		pids[i] = child(t)
		defer func() { _ = unix.Kill(int(pids[i]), unix.SIGKILL); waitFor(t, pids[i]) }()
	}
	before := openDescriptors(t)
	cc := callerCache{tasks: h.tasks, watch: h.Watch, entries: map[int32]*caller{}, limit: 2}
	first, err := cc.get(pids[0])
	if err != nil {
		t.Fatal(err)
	}
	each := openDescriptors(t) - before
	for _, i := range []int{1, 0, 2, 0} { // 1 is the oldest when 2 comes
		if _, err := cc.get(pids[i]); err != nil {
			t.Fatal(err)
		}
	}
	if len(cc.entries) != 2 || cc.entries[pids[0]] != first || cc.entries[pids[1]] != nil {
		t.Errorf("kept %v, want the two seen last", cc.entries)
	}
	if got := openDescriptors(t) - before; got > 2*each {
		t.Errorf("%d descriptors for two callers, one has %d", got, each)
	}
	h.Watch.Namespace(&shim.Call{}) // somebody changed namespaces: nothing known holds
	again, err := cc.get(pids[0])
	if err != nil || again == first {
		t.Errorf("an entry of before is still used: %v", err)
	}
	cc.dropAll()
	if got := openDescriptors(t); got != before || len(cc.entries) != 0 {
		t.Errorf("%d descriptors in the end, %d at first", got, before)
	}
}

// TestForwardAllocatesNothing on the warm path: a call with siginfo and one without.
func TestForwardAllocatesNothing(t *testing.T) {
	runtime.LockOSThread() // the caller is this thread
	defer runtime.UnlockOSThread()
	h := testHandler(t, ModeForward)
	pid := child(t)
	defer func() { _ = unix.Kill(int(pid), unix.SIGKILL); waitFor(t, pid) }()
	fd, err := unix.PidfdOpen(int(pid), 0)
	if err != nil {
		t.Skipf("pidfd_open: %v", err)
	}
	defer unix.Close(fd)
	call := &shim.Call{Tid: int32(unix.Gettid()), What: arch.PidfdSendSignal, ABI: arch.AMD64}
	call.Args[0], call.Args[1] = uint64(fd), uint64(unix.SIGCONT)
	send := func() {
		call.Record = shim.Record{}
		if v := h.Handle(call); v != shim.Return(0) || call.Record.Path != shim.PathForward {
			t.Fatalf("%v by %v", v, call.Record.Path)
		}
	}
	send()
	if n := testing.AllocsPerRun(100, send); n != 0 {
		t.Errorf("%v allocations a call", n)
	}
}

// TestCallerCacheForgetsTheDead: callers that live for one call leave no descriptors, also
// behind one that is older and lives.
func TestCallerCacheForgetsTheDead(t *testing.T) {
	for _, threads := range []bool{true, false} {
		h := testHandler(t, ModeForward)
		h.tasks.Features.ThreadPidfd = h.tasks.Features.ThreadPidfd && threads
		cc := callerCache{tasks: h.tasks, watch: h.Watch}
		living := child(t)
		if _, err := cc.get(living); err != nil {
			t.Fatal(err)
		}
		before := openDescriptors(t)
		for range 40 {
			pid := child(t)
			if _, err := cc.get(pid); err != nil {
				t.Fatal(err)
			}
			_ = unix.Kill(int(pid), unix.SIGKILL)
			waitFor(t, pid)
		}
		if len(cc.entries) > 4 || cc.entries[living] == nil || openDescriptors(t) > before+3*3 {
			t.Errorf("threads %t: %d entries, %d descriptors more", threads, len(cc.entries), openDescriptors(t)-before)
		}
		cc.dropAll()
		_ = unix.Kill(int(living), unix.SIGKILL)
		waitFor(t, living)
	}
}

// TestCredsAreHadOrNot: ids that could not be read are not taken for those of root when they
// are asked for again.
func TestCredsAreHadOrNot(t *testing.T) {
	for _, byText := range []bool{false, true} {
		h := testHandler(t, ModeForward)
		h.tasks.Features.Info = h.tasks.Features.Info && !byText
		pid := child(t)
		a := &attempt{call: &shim.Call{Tid: pid}}
		var err error
		if a.caller, err = h.callers.openCaller(pid); err != nil {
			t.Fatal(err)
		}
		defer a.caller.close()
		_ = unix.Kill(int(pid), unix.SIGKILL)
		waitFor(t, pid)
		for range 2 {
			if err := a.callerCreds(h.tasks); err == nil {
				t.Errorf("read by text %t: a reaped caller has the ids %+v", byText, a.creds)
			}
		}
	}
}

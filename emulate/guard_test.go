package emulate

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/helper"
	"github.com/pidfd-shim/pidfd-shim/kernel"
	"github.com/pidfd-shim/pidfd-shim/proc"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// asPinner makes the test binary a pinner.
const asPinner = "EMULATE_TEST_PINNER"

func TestMain(m *testing.M) {
	if os.Getenv(asPinner) != "" {
		runtime.LockOSThread()
		_ = ServePins(os.NewFile(3, "supervisor"))
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func testPinner(t *testing.T) *Pinner {
	t.Helper()
	all := &helper.All{}
	t.Cleanup(all.Stop)
	return &Pinner{Helper: helper.Helper{
		Deadline: time.Minute, Spare: true, All: all,
		Command: func(socket *os.File) (*os.Process, error) {
			return os.StartProcess("/proc/self/exe", os.Args[:1], &os.ProcAttr{
				Env: []string{asPinner + "=1"}, Files: []*os.File{nil, nil, os.Stderr, socket},
			})
		},
	}}
}

// child starts a process that waits for ever. The test reaps it by itself.
func child(t *testing.T) int32 {
	t.Helper()
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	pid := int32(cmd.Process.Pid)
	_ = cmd.Process.Release()
	return pid
}

// takeNumber starts a process with a number that has just become free. Precondition: we
// are in inPidns, where nobody else forks; a thread of ours may be quicker.
func takeNumber(t *testing.T, pid int32) bool {
	t.Helper()
	if err := os.WriteFile("/proc/sys/kernel/ns_last_pid", []byte(strconv.Itoa(int(pid-1))), 0); err != nil {
		t.Skipf("recycle a number: %v", err)
	}
	got := child(t)
	if got == pid {
		return true
	}
	_ = unix.Kill(int(got), unix.SIGKILL)
	waitFor(t, got)
	return false
}

// inPidns runs the test again, alone in a pid namespace: false in there.
func inPidns(t *testing.T) bool {
	t.Helper()
	if os.Getenv(alone) != "" {
		return false
	}
	cmd := exec.Command("unshare", "--pid", "--fork", "--kill-child", "--mount-proc",
		os.Args[0], "-test.run", "^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), alone+"=1")
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	switch {
	case unix.Geteuid() != 0:
		t.Skipf("a pid namespace needs root: %v", err)
	case bytes.Contains(out, []byte("--- SKIP")):
		t.Skip("see above")
	case err != nil || !bytes.Contains(out, []byte("--- PASS")):
		t.Errorf("alone: %v", err)
	}
	return true
}

// alone marks the test binary that inPidns starts.
const alone = "EMULATE_TEST_ALONE"

// TestSeizeKeepsTheNumber stops between the check of the handle and the send, kills the
// target there, and tries to give its number away: without a pin the new owner has the
// number by the time of the send, with it the number stays the dead target's.
func TestSeizeKeepsTheNumber(t *testing.T) {
	if inPidns(t) {
		return
	}
	fs, err := proc.Open()
	if err != nil {
		t.Fatal(err)
	}
	h := &SendSignal{Config: Config{Proc: fs, Features: kernel.ForRun(), Log: slog.New(slog.DiscardHandler)}}
	unpinned := fate{}
	for try := 0; !unpinned.taken && try < 100; try++ { // somebody else may have taken it
		unpinned = dieBeforeSend(t, h)
	}
	if want := (fate{reaped: true, taken: true, guard: shim.GuardNarrowed}); unpinned != want {
		t.Errorf("without a pin %+v, want %+v: this test shows nothing", unpinned, want)
	}
	h.pinner = testPinner(t)
	if got, want := dieBeforeSend(t, h), (fate{guard: shim.GuardSeize}); got != want {
		t.Errorf("pinned %+v, want %+v", got, want)
	}
}

// fate is what became of a target that was killed right before the send.
type fate struct {
	reaped, taken bool // by its parent; its number, by another
	guard         shim.Guard
	errno         unix.Errno
}

func dieBeforeSend(t *testing.T, h *SendSignal) (f fate) {
	t.Helper()
	pid := child(t)
	fd, err := unix.PidfdOpen(int(pid), 0)
	if err != nil {
		t.Skipf("pidfd_open: %v", err)
	}
	defer unix.Close(fd)
	h.beforeSend = func() {
		_ = unix.Kill(int(pid), unix.SIGKILL)
		waitDead(t, fd)
		n, _ := unix.Wait4(int(pid), nil, unix.WNOHANG, nil)
		f.reaped = n == int(pid)
		f.taken = f.reaped && takeNumber(t, pid)
	}
	n := number{pid: pid, tgid: pid, sig: int32(unix.SIGCONT)}
	f.errno, f.guard = h.guarded(&attempt{caller: &caller{tgid: 1}}, &target{fd: fd, pid: pid, tgid: pid}, &n)
	if f.reaped && !f.taken {
		return f
	}
	_ = unix.Kill(int(pid), unix.SIGKILL)
	waitFor(t, pid)
	return f
}

// waitDead waits for the end of a process, pinned or not: its parent can reap it from
// then on, if anybody can.
func waitDead(t *testing.T, pidfd int) {
	t.Helper()
	for {
		fds := []unix.PollFd{{Fd: int32(pidfd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, 60_000)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if n != 1 || err != nil {
			t.Fatalf("wait for a killed process: %d, %v", n, err)
		}
		return
	}
}

// waitFor reaps the child, which a pinner that forgets it would keep for ever.
func waitFor(t *testing.T, pid int32) {
	t.Helper()
	for range 60_000 {
		n, err := unix.Wait4(int(pid), nil, unix.WNOHANG, nil)
		if n == int(pid) {
			return
		}
		if err != nil && !errors.Is(err, unix.EINTR) {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond) //nolint:forbidigo // wait4 has no deadline
	}
	t.Errorf("process %d is never handed to its parent", pid)
}

// TestPinnedTargetsAreHandedBack: targets that die at any moment of the pinning, also in
// the stop in which they are let go, reach their parent; and so do those that two calls
// pin at once.
func TestPinnedTargetsAreHandedBack(t *testing.T) {
	p := testPinner(t)
	for round := range 200 {
		pid := child(t)
		if errno := p.do(pinSeize, pid); errno != 0 {
			t.Fatalf("seize: %v", errno)
		}
		if round%3 == 0 {
			_ = p.do(pinSeize, pid)
			_ = p.do(pinRelease, pid)
		}
		if round%2 == 0 {
			_ = unix.Kill(int(pid), unix.SIGCONT) // something to stop for
		}
		_ = p.do(pinRelease, pid)
		for range (round % 10) * 100 {
			runtime.Gosched()
		}
		_ = unix.Kill(int(pid), unix.SIGKILL)
		waitFor(t, pid)
	}
}

// TestZombieIsNotSentTo: what is sent to a zombie is dropped, so nothing is sent, and a
// reaped one is ESRCH.
func TestZombieIsNotSentTo(t *testing.T) {
	fs, err := proc.Open()
	if err != nil {
		t.Fatal(err)
	}
	pid := child(t)
	fd, err := unix.PidfdOpen(int(pid), 0)
	if err != nil {
		t.Skipf("pidfd_open: %v", err)
	}
	defer unix.Close(fd)
	h := &SendSignal{Config: Config{Proc: fs, Features: kernel.ForRun(), Log: slog.New(slog.DiscardHandler)}, pinner: testPinner(t)}
	h.beforeSend = func() { t.Error("sent to a number that nothing holds") }
	_ = unix.Kill(int(pid), unix.SIGKILL)
	_ = unix.Waitid(unix.P_PID, int(pid), nil, unix.WEXITED|unix.WNOWAIT, nil)
	for _, want := range []unix.Errno{0, unix.ESRCH} {
		n := number{pid: pid, tgid: pid, sig: int32(unix.SIGCONT)}
		errno, guard := h.guarded(&attempt{caller: &caller{tgid: 1}}, &target{fd: fd, pid: pid, tgid: pid}, &n)
		if errno != want || guard != shim.GuardNone {
			t.Errorf("errno %v, guard %v, want %v", errno, guard, want)
		}
		if want == 0 {
			waitFor(t, pid)
		}
	}
}

// TestStaleHandleSendsNothing: the number was recycled before any guard took hold. The
// handle is a dead process's and the number another's: whoever has it must not be sent to.
func TestStaleHandleSendsNothing(t *testing.T) {
	fs, err := proc.Open()
	if err != nil {
		t.Fatal(err)
	}
	for _, way := range []string{"narrowed", "pinned"} {
		for _, handle := range []string{"pidfd", "dir"} {
			dead, owner := child(t), child(t)
			fd, err := unix.PidfdOpen(int(dead), 0)
			if err != nil {
				t.Skipf("pidfd_open: %v", err)
			}
			h := &SendSignal{Config: Config{Proc: fs, Features: kernel.ForRun(), Log: slog.New(slog.DiscardHandler)}}
			tt := target{fd: fd, pid: owner, tgid: owner}
			if handle == "dir" {
				if tt.dir, err = fs.Dir(dead); err != nil {
					t.Fatal(err)
				}
			}
			_ = unix.Kill(int(dead), unix.SIGKILL)
			waitFor(t, dead)
			if way == "pinned" {
				h.pinner = testPinner(t)
			}
			n := number{pid: owner, tgid: owner, sig: int32(unix.SIGKILL)}
			a := attempt{caller: &caller{tgid: 1}}
			if errno, _ := h.guarded(&a, &tt, &n); errno != unix.ESRCH || n.sent != shim.SentNone {
				t.Errorf("%s, %s: errno %v, sent by %v: want ESRCH and nothing sent", way, handle, errno, n.sent)
			}
			_ = unix.Kill(int(owner), unix.SIGKILL)
			waitFor(t, owner)
			_ = unix.Close(fd)
		}
	}
}

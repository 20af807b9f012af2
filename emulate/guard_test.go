package emulate

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/kernel"
	"github.com/pidfd-shim/pidfd-shim/internal/proc"
	"github.com/pidfd-shim/pidfd-shim/internal/tracee"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// newPinner is one of nobody else's.
func newPinner() *Pinner { return &Pinner{&tracee.Pins{Held: &tracee.Held{}}} }

// asParent makes the test binary the parent of other processes: whose child a thread of
// ours traces it must not be ours, or our own wait would take its end.
const asParent = "EMULATE_TEST_PARENT"

func TestMain(m *testing.M) {
	if os.Getenv(asParent) != "" {
		beParent()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// beParent starts a process for each 0 that it reads and tells its number; another number
// is a process to be reaped, soon, or at leisure if it is negative: 1 says that it was.
func beParent() {
	for {
		var pid int32
		if _, err := fmt.Scan(&pid); err != nil {
			return
		}
		switch {
		case pid == 0:
			process, err := os.StartProcess("/bin/sleep", []string{"sleep", "1000"}, &os.ProcAttr{})
			if err != nil {
				return
			}
			fmt.Println(process.Pid)
		case pid > 0 && reaped(pid, soon), pid < 0 && reaped(-pid, atLeisure):
			fmt.Println(1)
		default:
			fmt.Println(0)
		}
	}
}

// parent is such a process.
type parent struct {
	t   *testing.T
	in  io.Writer
	out io.Reader
}

func newParent(t *testing.T) *parent {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), asParent+"=1")
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		_ = cmd.Wait()
	})
	return &parent{t, in, out}
}

func (p *parent) ask(question int32) (answer int32) {
	p.t.Helper()
	if _, err := fmt.Fprintln(p.in, question); err != nil {
		p.t.Fatal(err)
	}
	if _, err := fmt.Fscan(p.out, &answer); err != nil {
		p.t.Fatal(err)
	}
	return answer
}

func (p *parent) child() int32         { p.t.Helper(); return p.ask(0) }
func (p *parent) reaps(pid int32) bool { p.t.Helper(); return p.ask(pid) == 1 }

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

// takeNumber starts a process with a number that has just become free.
func takeNumber(t *testing.T, pid int32) bool {
	t.Helper()
	for range 100 {
		if err := os.WriteFile("/proc/sys/kernel/ns_last_pid", []byte(strconv.Itoa(int(pid-1))), 0); err != nil {
			t.Skipf("recycle a number: %v", err)
		}
		got := child(t)
		if got == pid {
			return true
		}
		_ = unix.Kill(int(got), unix.SIGKILL)
		waitFor(t, got)
	}
	return false
}

// TestSeizeKeepsTheNumber stops between the check of the handle and the send, kills the
// target there, and tries to give its number away: without a pin the new owner has the
// number by the time of the send, with it the number stays the dead target's.
func TestSeizeKeepsTheNumber(t *testing.T) {
	fs, err := proc.Open()
	if err != nil {
		t.Fatal(err)
	}
	parent := newParent(t)
	for _, pinned := range []bool{false, true} {
		pid := parent.child()
		fd, err := unix.PidfdOpen(int(pid), 0)
		if err != nil {
			t.Skipf("pidfd_open: %v", err)
		}
		var reaped, taken bool
		h := newHandler(Config{Proc: fs, Features: kernel.ForRun(), Log: slog.New(slog.DiscardHandler)})
		h.guard.between = func(at moment) {
			if at != atChecked {
				return
			}
			_ = unix.Kill(int(pid), unix.SIGKILL)
			reaped = parent.reaps(pid)
			if reaped {
				taken = takeNumber(t, pid)
			}
		}
		if pinned {
			h.guard.pinner = newPinner()
		}
		a := attempt{call: &shim.Call{}, facts: facts{caller: &caller{tgid: 1}}}
		tt := target{fd: fd, pid: pid, tgid: pid}
		n := number{pid: pid, tgid: pid, sig: int32(unix.SIGCONT)}
		errno, guard := h.guard.send(&a, &tt, &n)
		t.Logf("pinned %t: errno %v, guard %v, reaped %t, number taken %t", pinned, errno, guard, reaped, taken)
		switch {
		case pinned && (reaped || taken || guard != shim.GuardSeize || errno != 0):
			t.Errorf("the pin did not hold")
		case !pinned && (!reaped || !taken || guard != shim.GuardNarrowed):
			t.Errorf("without a pin the number could not be given away: this test shows nothing")
		}
		if taken {
			_ = unix.Kill(int(pid), unix.SIGKILL)
			waitFor(t, pid)
		}
		if pinned && !reaped && !parent.reaps(-pid) {
			t.Errorf("process %d is never handed to its parent", pid)
		}
		_ = unix.Close(fd)
	}
}

// reaped tries to reap a killed child, for so many milliseconds. One that is pinned is
// never handed to its parent.
func reaped(pid int32, patience int) bool {
	for range patience {
		if n, _ := unix.Wait4(int(pid), nil, unix.WNOHANG, nil); n == int(pid) {
			return true
		}
		time.Sleep(time.Millisecond) //nolint:forbidigo // wait4 has no deadline
	}
	return false
}

const soon, atLeisure = 200, 20000

// waitFor reaps the child, which a pinner that forgets it would keep for ever.
func waitFor(t *testing.T, pid int32) {
	t.Helper()
	for range 5000 {
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
// the stop for a signal that their tracer's end ends, reach their parent.
func TestPinnedTargetsAreHandedBack(t *testing.T) {
	p, parent := newPinner(), newParent(t)
	for round := range 200 {
		pid := parent.child()
		pin, errno := p.seize(&shim.Call{}, pid)
		if errno != 0 {
			t.Fatalf("seize: %v", errno)
		}
		if round%2 == 0 {
			_ = unix.Kill(int(pid), unix.SIGCONT) // something to stop for
		}
		if round%3 == 0 {
			_ = unix.Kill(int(pid), unix.SIGKILL)
		}
		for range (round % 10) * 100 {
			runtime.Gosched()
		}
		pin.Release()
		_ = unix.Kill(int(pid), unix.SIGKILL)
		if !parent.reaps(-pid) {
			t.Fatalf("process %d is never handed to its parent", pid)
		}
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
	h := newHandler(Config{Proc: fs, Features: kernel.ForRun(), Log: slog.New(slog.DiscardHandler)})
	h.guard.pinner = newPinner()
	h.guard.between = func(at moment) {
		if at == atChecked {
			t.Error("sent to a number that nothing holds")
		}
	}
	_ = unix.Kill(int(pid), unix.SIGKILL)
	_ = unix.Waitid(unix.P_PID, int(pid), nil, unix.WEXITED|unix.WNOWAIT, nil)
	for _, want := range []unix.Errno{0, unix.ESRCH} {
		n := number{pid: pid, tgid: pid, sig: int32(unix.SIGCONT)}
		errno, guard := h.guard.send(&attempt{call: &shim.Call{}, facts: facts{caller: &caller{tgid: 1}}}, &target{fd: fd, pid: pid, tgid: pid}, &n)
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
			h := newHandler(Config{Proc: fs, Features: kernel.ForRun(), Log: slog.New(slog.DiscardHandler)})
			tt := target{fd: fd, pid: owner, tgid: owner}
			if handle == "dir" {
				if tt.dir, err = fs.Dir(dead); err != nil {
					t.Fatal(err)
				}
			}
			_ = unix.Kill(int(dead), unix.SIGKILL)
			waitFor(t, dead)
			if way == "pinned" {
				h.guard.pinner = newPinner()
			}
			n := number{pid: owner, tgid: owner, sig: int32(unix.SIGKILL)}
			a := attempt{call: &shim.Call{}, facts: facts{caller: &caller{tgid: 1}}}
			if errno, _ := h.guard.send(&a, &tt, &n); errno != unix.ESRCH || n.sent != shim.SentNone {
				t.Errorf("%s, %s: errno %v, sent by %v: want ESRCH and nothing sent", way, handle, errno, n.sent)
			}
			_ = unix.Kill(int(owner), unix.SIGKILL)
			waitFor(t, owner)
			_ = unix.Close(fd)
		}
	}
}

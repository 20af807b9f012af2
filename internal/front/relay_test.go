package front

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// startSignals starts `run signals` and returns COMMAND's pid and its parent's.
func startSignals(t *testing.T) (s *running, command, supervisor int) {
	t.Helper()
	s = start(t, "run", testBinary(t), "signals")
	line := s.line()
	if _, err := fmt.Sscanf(line, "ready %d %d", &command, &supervisor); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	return s, command, supervisor
}

// finish ends COMMAND by a last signal to the front, behind which nothing is on
// its way any more, and returns what COMMAND had before it.
func (s *running) finish() (lines []string) {
	s.t.Helper()
	s.signalFront(64)
	for {
		line, err := s.out.ReadString('\n')
		if err != nil {
			break
		}
		lines = append(lines, strings.TrimSpace(line))
	}
	if got := s.status(); got != 0 {
		s.t.Errorf("status %d, want 0 (stderr %q)", got, s.err.String())
	}
	return lines
}

func (s *running) signalFront(sig unix.Signal) {
	s.t.Helper()
	if err := unix.Kill(s.Process.Pid, sig); err != nil {
		s.t.Fatal(err)
	}
}

// TestSignalToFront: each arrives once, and says who sent it.
func TestSignalToFront(t *testing.T) {
	for _, sig := range []unix.Signal{
		unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGUSR1, unix.SIGUSR2, unix.SIGPIPE,
		unix.SIGALRM, unix.SIGWINCH, unix.SIGCONT, unix.SIGURG, unix.SIGABRT, unix.SIGIO,
		unix.SIGSEGV, unix.SIGTRAP, unix.SIGSTKFLT, unix.SIGCHLD, unix.SIGTSTP, unix.SIGTTIN, 34, 63,
	} {
		t.Run(strconv.Itoa(int(sig)), func(t *testing.T) {
			s, _, _ := startSignals(t)
			s.signalFront(sig)
			want := []string{fmt.Sprintf("%d %d %d 0", sig, siQueue, os.Getpid())}
			if got := s.finish(); !slices.Equal(got, want) {
				t.Errorf("kill -%v of the front: COMMAND got %q, want %q", sig, got, want)
			}
		})
	}
}

func TestGroupSignalIsNotRepeated(t *testing.T) {
	for _, sig := range []unix.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGCONT, unix.SIGUSR1, unix.SIGWINCH} {
		s, _, _ := startSignals(t)
		if err := unix.Kill(-s.Process.Pid, sig); err != nil {
			t.Fatal(err)
		}
		want := []string{fmt.Sprintf("%d %d %d 0", sig, siUser, os.Getpid())}
		if got := s.finish(); !slices.Equal(got, want) {
			t.Errorf("kill -%v of the group: COMMAND got %q, want %q", sig, got, want)
		}
	}
}

// TestQueuedValues: none is lost, doubled or out of order, also when there are
// more than the handler's pipe holds.
func TestQueuedValues(t *testing.T) {
	const count = 2000
	s, _, _ := startSignals(t)
	for value := range count {
		if err := queueValue(s.Process.Pid, 36, value); err != nil {
			t.Fatal(err)
		}
	}
	got := s.finish()
	if len(got) != count {
		t.Fatalf("%d signals, want %d", len(got), count)
	}
	for value, line := range got {
		if want := fmt.Sprintf("36 %d %d %d", siQueue, os.Getpid(), value); line != want {
			t.Fatalf("signal %d: %q, want %q", value, line, want)
		}
	}
}

// queueValue is sigqueue(3).
func queueValue(pid int, sig unix.Signal, value int) error {
	var info note
	put := func(offset int, word uint32) { *(*uint32)(unsafe.Pointer(&info[offset])) = word }
	put(0, uint32(sig))
	put(8, ^uint32(0))
	put(16, uint32(os.Getpid()))
	put(20, uint32(os.Getuid()))
	put(24, uint32(value))
	return queueinfo(pid, sig, &info)
}

// TestNoRoomForSiginfo: what the front sends its own threads arrives without a sender at
// the limit of queued signals, and is not COMMAND's for that.
func TestNoRoomForSiginfo(t *testing.T) {
	for range 20 {
		s := start(t, "launch", "sigpending=0", "--", testBinary(t), "run", "sh", "-c", "echo $$; read line; exit 7")
		pidLine(t, s)
		s.in.Close()
		if got := s.status(); got != 7 {
			t.Fatalf("status %d (stderr %q), want 7", got, s.err.String())
		}
	}
}

// TestSentinelLost: without its sentinel the front still passes signals on.
func TestSentinelLost(t *testing.T) {
	s, _, supervisor := startSignals(t)
	for _, pid := range childrenOf(t, s.Process.Pid) {
		if pid != supervisor {
			if err := unix.Kill(pid, unix.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}
	}
	s.signalFront(unix.SIGTERM)
	want := []string{fmt.Sprintf("15 %d %d 0", siQueue, os.Getpid())}
	if got := s.finish(); !slices.Equal(got, want) {
		t.Errorf("COMMAND got %q, want %q", got, want)
	}
}

func childrenOf(t *testing.T, pid int) (children []int) {
	t.Helper()
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", pid, task.Name()))
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range strings.Fields(string(text)) {
			var child int
			if _, err := fmt.Sscan(word, &child); err != nil {
				t.Fatal(err)
			}
			children = append(children, child)
		}
	}
	return children
}

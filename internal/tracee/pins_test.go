package tracee

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/sys"
)

// tracerOf is from /proc/PID/status.
func tracerOf(tb testing.TB, pid int32) string {
	tb.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		tb.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), "TracerPid:\t")
	tracer, _, _ := strings.Cut(after, "\n")
	return tracer
}

// sleeper is a process that nobody of these tests reaps by the way.
func sleeper(tb testing.TB) *exec.Cmd {
	tb.Helper()
	cmd := exec.Command("sleep", "1000")
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _, _ = cmd.Process.Kill(), cmd.Wait() })
	return cmd
}

// TestPinIsGoneWhenReleased: a thousand times in a row, it is traced from Pin's return to
// Release's, and no thread is left behind.
func TestPinIsGoneWhenReleased(t *testing.T) {
	p := Pins{Held: &Held{}}
	pid := int32(sleeper(t).Process.Pid)
	for i := range 1000 {
		pin, errno := p.Pin(pid)
		if errno != 0 {
			t.Fatalf("pin %d: %v", i, errno)
		}
		if i == 0 && (tracerOf(t, pid) == "0" || !p.Held.Traces(pid)) {
			t.Error("it is not traced")
		}
		pin.Release()
		pin.Release() // again is nothing
		if got := tracerOf(t, pid); got != "0" {
			t.Fatalf("pin %d: %s still traces it", i, got)
		}
		if i%2 == 0 {
			p.Stock()
		}
	}
	if late := len(holders.living) - len(holders.ready); late > 0 || p.Held.Traces(pid) {
		t.Errorf("%d are late, traced: %t", late, p.Held.Traces(pid))
	}
}

// TestPinsOfManySessions: each has one made ready, and ends. No task is left of it, and none
// loses its memory to somebody else.
func TestPinsOfManySessions(t *testing.T) {
	pid := int32(sleeper(t).Process.Pid)
	for i := range 300 {
		p := &Pins{Held: &Held{}}
		p.Stock()
		pin, errno := p.Pin(pid)
		if errno != 0 {
			t.Fatalf("session %d: %v", i, errno)
		}
		pin.Release()
		p.Stock()
		if i%20 == 0 {
			runtime.GC()
		}
	}
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	if len(tasks) > 100 {
		t.Errorf("%d tasks after 300 sessions", len(tasks))
	}
}

// TestPinKeepsTheNumber: a target that dies is not reaped by its parent before Release.
func TestPinKeepsTheNumber(t *testing.T) {
	p := Pins{Held: &Held{}}
	cmd := exec.Command("sh", "-c", "sleep 1000 & echo $!; wait")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int32
	if _, err := fmt.Fscan(out, &pid); err != nil {
		t.Fatal(err)
	}
	pin, errno := p.Pin(pid)
	if errno != 0 {
		t.Fatal(errno)
	}
	_ = unix.Kill(int(pid), unix.SIGKILL)
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for range 1000 {
		sys.Yield()
	}
	select {
	case err := <-ended:
		t.Errorf("reaped while pinned: %v", err)
	default:
	}
	if err := unix.Kill(int(pid), 0); err != nil {
		t.Errorf("the number is free: %v", err)
	}
	pin.Release()
	<-ended
}

// TestPinRefused: what cannot be pinned costs no task, and what another pin has is waited
// for.
func TestPinRefused(t *testing.T) {
	p := Pins{Held: &Held{}}
	for range 100 {
		if _, errno := p.Pin(1 << 22); errno != unix.ESRCH {
			t.Fatalf("nobody: %v", errno)
		}
	}
	if len(holders.ready) != 1 {
		t.Errorf("%d tasks for one pin at a time", len(holders.ready))
	}
	pid := int32(sleeper(t).Process.Pid)
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			for range 200 {
				pin, errno := p.Pin(pid)
				if errno != 0 && errno != unix.EPERM { // the other was faster, each time
					t.Error(errno)
				}
				pin.Release()
			}
		})
	}
	both.Wait()
}

func BenchmarkPin(b *testing.B) {
	p := Pins{Held: &Held{}}
	pid := int32(sleeper(b).Process.Pid)
	for b.Loop() {
		pin, errno := p.Pin(pid)
		if errno != 0 {
			b.Fatal(errno)
		}
		pin.Release()
		p.Stock()
	}
}

package helper

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestStuckHelpers has more helpers not end by their being killed than there may be: one
// goroutine waits for them, no other is started, and all are reaped once they end.
func TestStuckHelpers(t *testing.T) {
	var all All
	before := runtime.NumGoroutine()
	var stuck []*exec.Cmd
	for range mostDying {
		if err := all.mayStart(); err != nil {
			t.Fatalf("%d are too many: %v", len(stuck), err)
		}
		cmd := exec.Command("sleep", "60")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		stuck = append(stuck, cmd)
		all.reap(cmd.Process.Pid)
	}
	if n := runtime.NumGoroutine(); n > before+1 {
		t.Errorf("%d goroutines, there were %d", n, before)
	}
	h := Helper{All: &all} // without Command: to start one would panic
	if _, err := h.Ask(nil, nil); !errors.Is(err, ErrLate) {
		t.Errorf("a question has the answer %v", err)
	}
	for i := range stuck { // the first is waited for while the others have ended
		_ = stuck[len(stuck)-1-i].Process.Kill()
	}
	for end := time.Now().Add(time.Minute); ; runtime.Gosched() {
		all.mu.Lock()
		left := len(all.dying)
		all.mu.Unlock()
		if left == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d are not reaped", left)
		}
	}
}

// TestNoHelperToBeHad: where none can be started questions are to be asked again, for a while, then
// they are refused, hardly trying any more, and once one starts they are answered.
func TestNoHelperToBeHad(t *testing.T) {
	starts := 0
	h := Helper{Deadline: time.Second, All: &All{}, Command: func(*os.File) (*os.Process, error) {
		starts++
		return nil, unix.EAGAIN
	}}
	for range 3 {
		if _, err := h.Ask(nil, nil); !errors.Is(err, ErrLate) {
			t.Fatalf("at first: %v", err)
		}
	}
	h.All.failing = h.All.failing.Add(-2 * failPatience)
	for range 100 {
		if _, err := h.Ask(nil, nil); !errors.Is(err, errNone) || errors.Is(err, ErrLate) {
			t.Fatalf("after a while: %v", err)
		}
	}
	if starts > 13 {
		t.Errorf("%d starts were tried", starts)
	}
	h.All.tried = time.Time{}
	h.Command = func(socket *os.File) (*os.Process, error) { return echo(socket, 0) }
	answer := make([]byte, 1)
	if n, err := h.Ask([]byte("a"), answer); n != 1 || err != nil || !h.All.failing.IsZero() {
		t.Errorf("once one starts: %d %v", n, err)
	}
	h.stop()
}

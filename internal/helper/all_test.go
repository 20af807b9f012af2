package helper

import (
	"errors"
	"os/exec"
	"runtime"
	"testing"
	"time"
)

// TestStuckHelpers has more helpers not end by their being killed than there may be: one
// goroutine waits for them, no other is started, and all are reaped once they end.
func TestStuckHelpers(t *testing.T) {
	var all All
	before := runtime.NumGoroutine()
	var stuck []*exec.Cmd
	for range mostDying {
		if all.stuck() {
			t.Fatalf("%d are too many", len(stuck))
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

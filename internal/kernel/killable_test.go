package kernel

import (
	"errors"
	"testing"
	"time"
)

// TestWaitKillableHolds: the race is tried in milliseconds, many times over, and a kernel that
// has no such flag says so.
func TestWaitKillableHolds(t *testing.T) {
	began := time.Now()
	err := WaitKillableHolds()
	t.Logf("%v, after %v", err, time.Since(began))
	if has := WaitKillableRecv(); (has != nil) != (err != nil) && !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("the flag: %v; whether it holds: %v", has, err)
	}
}

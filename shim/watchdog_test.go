package shim

import (
	"log/slog"
	"runtime"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// A worker that is not where it is for a caller's sake, but for want of a processor, is not
// replaced, and its sandbox not suspected; one that sleeps is, at once; and one that does
// neither in a second is, too.
func TestStarvedWorkerIsNotReplaced(t *testing.T) {
	runtime.LockOSThread() // it looks at itself, and runs meanwhile
	defer runtime.UnlockOSThread()
	asleep, done := make(chan int32), make(chan bool)
	defer close(done)
	go func() {
		runtime.LockOSThread()
		asleep <- int32(unix.Gettid())
		<-done
	}()
	for _, c := range []struct {
		name  string
		tid   int32
		looks int
	}{
		{"running", int32(unix.Gettid()), starvation},
		{"asleep", <-asleep, 1},
		{"gone", 0, 1},
	} {
		replaced := 0
		w := &Worker{behind: &atomic.Int32{}, replace: func() { replaced++ }}
		s := &Supervisor{Log: slog.New(slog.DiscardHandler)}
		s.lanes.set(fast, w)
		w.tid.Store(c.tid)
		for c.name == "asleep" && w.starved() { // on its way there
			runtime.Gosched()
		}
		w.Enter()
		seen := s.look(sight{})
		for look := 1; look <= c.looks; look++ {
			if replaced != 0 || s.Suspicious() {
				t.Errorf("%s: replaced at look %d, want %d", c.name, look-1, c.looks)
			}
			seen = s.look(seen)
		}
		if replaced != 1 || !s.Suspicious() {
			t.Errorf("%s: replaced %d times after %d looks", c.name, replaced, c.looks)
		}
	}
}

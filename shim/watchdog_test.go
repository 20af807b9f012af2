package shim

import (
	"log/slog"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// The sandbox of a worker that is not where it is for a caller's sake, but for want of a
// processor, is not suspected; that of one that sleeps is, at once; and that of one that does
// neither in a second is, too.
func TestStarvedWorkerIsNotSuspected(t *testing.T) {
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
		s := &Supervisor{Log: slog.New(slog.DiscardHandler)}
		w := &Worker{pool: &Pool{}}
		w.tid.Store(c.tid)
		w.take(s)
		for c.name == "asleep" && w.starved() { // on its way there
			runtime.Gosched()
		}
		w.Enter()
		w.look()
		for look := 1; look <= c.looks; look++ {
			if s.Suspicious() {
				t.Errorf("%s: suspected at look %d, want %d", c.name, look-1, c.looks)
			}
			w.look()
		}
		if !s.Suspicious() {
			t.Errorf("%s: not suspected after %d looks", c.name, c.looks)
		}
	}
}

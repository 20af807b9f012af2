package ptrace

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/shim"
)

// A rewritten call names its target by a number, which is the target's until we reap it.
// So nobody is reaped while such a call is on its way: it returns within microseconds,
// for none of them ever waits.

// next is wait4(-1), but takes no death while a rewritten call is on its way.
func (t *Tracer) next(c *shim.Call) (tid int32, status unix.WaitStatus, err error) {
	for len(t.running) > 0 {
		tid, status, errno := waitid(unix.P_ALL, 0, t.waitFlags()|unix.WEXITED|unix.WSTOPPED|unix.WNOWAIT)
		switch {
		case errno != 0:
			return 0, 0, errno
		case tid == 0:
			return 0, 0, nil
		case !status.Stopped():
			t.finishRunning(c)
			continue
		}
		tid, status, errno = waitid(unix.P_ALL, 0, unix.WALL|unix.WNOTHREAD|unix.WSTOPPED|unix.WNOHANG)
		if errno != 0 || tid != 0 { // else it was killed in its stop
			return tid, status, asError(errno)
		}
	}
	got, err := unix.Wait4(-1, &status, t.waitFlags(), nil)
	return int32(got), status, err
}

func asError(errno unix.Errno) error {
	if errno == 0 {
		return nil
	}
	return errno
}

// finishRunning waits for the end of every rewritten call, and reaps nobody.
func (t *Tracer) finishRunning(c *shim.Call) {
	for tid := range t.running {
		for t.runs(tid) {
			got, status, errno := waitid(unix.P_PID, tid, unix.WALL|unix.WNOTHREAD|unix.WSTOPPED|unix.WNOHANG)
			switch {
			case errno == 0 && got == tid:
				t.handle(tid, status, c)
			case t.Ended(tid):
				t.abandon(tid)
			default:
				time.Sleep(10 * time.Microsecond) //nolint:forbidigo // a wait for the stop alone would not end with the task
			}
		}
	}
}

func (t *Tracer) runs(tid int32) bool {
	_, running := t.running[tid]
	return running
}

// abandon forgets the rewritten call of a task that has ended.
func (t *Tracer) abandon(tid int32) {
	if r, running := t.running[tid]; running {
		delete(t.running, tid)
		r.finish()
	}
}

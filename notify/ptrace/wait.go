package ptrace

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/sys"
)

// A call that names its target by a number, which somebody holds, returns within
// microseconds: none of them ever waits. Meanwhile nobody who is held is reaped. That he
// dies without having stopped at his exit is rare (SIGKILL ends that stop, too), and so is
// everything below the first lines of wait.

// waiter takes what happens to the tracees, in turn.
type waiter struct {
	table *table
	taken []stop // in the order in which they are to be handled
	turns int    // since all were taken
}

// stop is one that has been taken and is yet to be handled. The zero stop: nothing has come, or it
// is to be looked at again.
type stop struct {
	tid    int32
	status unix.WaitStatus
	held   bool // somebody has ended who is held, and stands before everybody else
}

// fairness is after how many stops everybody's are taken. A wait for all begins with the
// first of the list each time: whoever stands in front and calls without pause would
// be the only one to be served.
const fairness = 16

// next is the next stop or end.
func (w *waiter) next(ends Ends) (stop, error) {
	if w.turns++; w.turns >= fairness && len(w.taken) == 0 {
		w.turns = 0
		w.takeAll()
	}
	if len(w.taken) > 0 {
		first := w.taken[0]
		w.taken = w.taken[1:]
		return first, nil
	}
	return w.wait(ends)
}

// takeAll takes every stop that there is. No end: whose number is given away by it may be
// named by a call among those stops.
func (w *waiter) takeAll() {
	w.taken = w.taken[:0]
	for {
		got, errno := sys.Waitid(unix.P_ALL, 0, anyStop)
		if errno != 0 || got.Tid == 0 {
			return
		}
		w.taken = append(w.taken, stopOf(got))
	}
}

const (
	ours    = unix.WALL | unix.WNOTHREAD // this thread's tracees
	anyStop = ours | unix.WSTOPPED | unix.WNOHANG
)

func stopOf(c sys.Child) stop { return stop{tid: c.Tid, status: c.WaitStatus()} }

// wait is wait4(-1), but leaves those alone who are held.
func (w *waiter) wait(ends Ends) (s stop, err error) {
	flags, careful := w.flags(ends)
	if !careful {
		got, err := unix.Wait4(-1, &s.status, flags, nil)
		s.tid = int32(got)
		return s, err
	}
	for {
		seen, errno := sys.Waitid(unix.P_ALL, 0, flags|unix.WEXITED|unix.WSTOPPED|unix.WNOWAIT)
		switch {
		case errno != 0:
			return stop{}, errno
		case seen.Tid == 0:
			return stop{}, nil
		case !seen.Stopped():
			return w.bury(seen.Tid, ends)
		}
		got, errno := sys.Waitid(unix.P_PID, seen.Tid, anyStop)
		if errno != 0 || got.Tid != 0 { // else it was killed in its stop
			return stopOf(got), sys.Err(errno)
		}
	}
}

func (w *waiter) flags(ends Ends) (flags int, careful bool) {
	noHang, careful := w.table.wants()
	if noHang {
		return ours | unix.WNOHANG, true
	}
	return ours, careful || ends != nil && !ends.Empty()
}

// bury reaps a zombie that nobody holds. One who is held stands before everybody else in
// the wait for all: then stops alone are waited for.
func (w *waiter) bury(tid int32, ends Ends) (stop, error) {
	if got, errno, done := w.reap(tid, ends); done {
		return stopOf(got), sys.Err(errno)
	}
	got, errno := sys.Waitid(unix.P_ALL, 0, anyStop)
	if errno == 0 && got.Tid != 0 {
		return stopOf(got), nil
	}
	return stop{held: true}, nil
}

// reap tells of an end before the number is free; not done: it is held.
func (w *waiter) reap(tid int32, ends Ends) (got sys.Child, errno unix.Errno, done bool) {
	w.table.mu.Lock()
	defer w.table.mu.Unlock()
	if task := w.table.of[tid]; task != nil && task.holds > 0 {
		return sys.Child{}, 0, false
	}
	if ends != nil {
		ends.Ended(tid)
	}
	got, errno = sys.Waitid(unix.P_PID, tid, ours|unix.WEXITED|unix.WNOHANG)
	return got, errno, true
}

// rest waits a little where the wait could not: while only the slow lane may answer.
func (w *waiter) rest(ends Ends) {
	if flags, _ := w.flags(ends); flags&unix.WNOHANG != 0 {
		time.Sleep(time.Millisecond) //nolint:forbidigo // a thread in wait4 cannot be woken
	}
}

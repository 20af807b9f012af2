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

// stop is one that has been taken and is yet to be handled.
type stop struct {
	tid    int32
	status unix.WaitStatus
}

// fairness is after how many stops everybody's are taken. A wait for all begins with the
// first of the list each time: whoever stands in front and calls without pause would
// be the only one to be served.
const fairness = 16

// next is the next stop or end. 0: nothing has come, or it is to be looked at again.
func (t *Tracer) next() (tid int32, status unix.WaitStatus, err error) {
	if t.turns++; t.turns >= fairness && len(t.taken) == 0 {
		t.turns = 0
		t.takeAll()
	}
	if len(t.taken) > 0 {
		first := t.taken[0]
		t.taken = t.taken[1:]
		return first.tid, first.status, nil
	}
	return t.wait()
}

// takeAll takes every stop that there is. No end: whose number is given away by it may be
// named by a call among those stops.
func (t *Tracer) takeAll() {
	t.taken = t.taken[:0]
	for {
		got, errno := sys.Waitid(unix.P_ALL, 0, unix.WALL|unix.WNOTHREAD|unix.WSTOPPED|unix.WNOHANG)
		if errno != 0 || got.Tid == 0 {
			return
		}
		t.taken = append(t.taken, stop{got.Tid, got.WaitStatus()})
	}
}

// wait is wait4(-1), but leaves those alone who are held.
func (t *Tracer) wait() (tid int32, status unix.WaitStatus, err error) {
	flags, careful := t.waitFlags()
	if !careful {
		got, err := unix.Wait4(-1, &status, flags, nil)
		return int32(got), status, err
	}
	for {
		seen, errno := sys.Waitid(unix.P_ALL, 0, flags|unix.WEXITED|unix.WSTOPPED|unix.WNOWAIT)
		switch {
		case errno != 0:
			return 0, 0, errno
		case seen.Tid == 0:
			return 0, 0, nil
		case !seen.Stopped():
			return t.bury(seen.Tid)
		}
		got, errno := sys.Waitid(unix.P_PID, seen.Tid, unix.WALL|unix.WNOTHREAD|unix.WSTOPPED|unix.WNOHANG)
		if errno != 0 || got.Tid != 0 { // else it was killed in its stop
			return got.Tid, got.WaitStatus(), sys.Err(errno)
		}
	}
}

// waitFlags keeps to this thread's tracees, and lets the wait return at once while
// something may come from the slow lane, an answer or the end of a hold: a thread that waits
// cannot be woken for it.
func (t *Tracer) waitFlags() (flags int, careful bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.slow > 0 || t.stay > 0 && t.running == 0 {
		return unix.WALL | unix.WNOTHREAD | unix.WNOHANG, true
	}
	return unix.WALL | unix.WNOTHREAD, t.kept > 0 || t.Ends != nil && !t.Ends.Empty()
}

// bury reaps a zombie that nobody holds. One who is held stands before everybody else in
// the wait for all: then stops alone are waited for, and the ends of those who hold.
func (t *Tracer) bury(tid int32) (int32, unix.WaitStatus, error) {
	t.mu.Lock()
	task := t.of[tid]
	if task == nil || task.holds == 0 {
		if t.Ends != nil {
			t.Ends.Ended(tid)
		}
		got, errno := sys.Waitid(unix.P_PID, tid, unix.WALL|unix.WNOTHREAD|unix.WEXITED|unix.WNOHANG)
		t.mu.Unlock()
		return got.Tid, got.WaitStatus(), sys.Err(errno)
	}
	callers := t.callers()
	t.mu.Unlock()
	got, errno := sys.Waitid(unix.P_ALL, 0, unix.WALL|unix.WNOTHREAD|unix.WSTOPPED|unix.WNOHANG)
	if errno == 0 && got.Tid != 0 {
		return got.Tid, got.WaitStatus(), nil
	}
	for _, caller := range callers {
		if t.Ended(caller.tid) {
			t.endCall(caller.task)
		}
	}
	time.Sleep(10 * time.Microsecond) //nolint:forbidigo // a wait for stops alone would not end with the task
	return 0, 0, nil
}

// callers are those who make a call in another's place. Precondition: mu is held.
func (t *Tracer) callers() (list []held) {
	for tid, task := range t.of {
		if task.running {
			list = append(list, held{tid: tid, task: task})
		}
	}
	return list
}

// rest waits a little where the wait could not: while only the slow lane may answer.
func (t *Tracer) rest() {
	if flags, _ := t.waitFlags(); flags&unix.WNOHANG != 0 {
		time.Sleep(time.Millisecond) //nolint:forbidigo // a thread in wait4 cannot be woken
	}
}

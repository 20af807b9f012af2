package ptrace

import (
	"errors"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/shim"
)

// member is a task of the tree, from the first that is heard of it until it runs no more
// code of its own.
type member struct {
	tid     int32
	call    uint64 // the one that it is stopped in: shim.Call.ID; 0: none
	slow    bool   // which waits in the slow lane
	holds   int    // on its number, which is its own as long as it is traced
	leaving bool   // stopped at its exit until nobody holds it
	since   time.Time

	run     rewritten // what it makes in that call's place, if running: the tracer's thread's alone
	running bool
	steps   *steps // of which that is one; as run
	started bool   // has made its first stop

	inside  bool     // stopped last at a call's entry; where every call stops
	carried *carried // the call that another is made for: see Sandbox
}

// table is whom the tracer has, and what each of them is in. The slow lane looks into it, too.
type table struct {
	mu      sync.Mutex // guards below
	of      map[int32]*member
	slow    int // calls in the slow lane
	held    int // holds on them
	stay    int // that are leaving
	running int // calls in another's place
}

// see is the entry of a tracee, which may be heard of for the first time.
func (ts *table) see(tid int32) *member {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	task := ts.of[tid]
	if task == nil {
		task = &member{tid: tid}
		ts.of[tid] = task
	}
	return task
}

// announce meets a new task, whose own first stop comes before or after its parent's,
// which names it. It may even be on its way out by then, and none of ours: ECHILD.
func (ts *table) announce(child int32) {
	const options = unix.WEXITED | unix.WSTOPPED | unix.WNOHANG | unix.WNOWAIT | unix.WALL | unix.WNOTHREAD
	if err := unix.Waitid(unix.P_PID, int(child), nil, options, nil); !errors.Is(err, unix.ECHILD) {
		ts.see(child)
	}
}

// drop takes a task out that is none any more.
func (ts *table) drop(tid int32) *member {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	task := ts.of[tid]
	if task != nil {
		ts.goes(task)
	}
	delete(ts.of, tid)
	return task
}

// goes is the end of a task's leaving. Precondition: mu is held.
func (ts *table) goes(task *member) {
	if task.leaving {
		task.leaving = false
		ts.stay--
	}
}

// has tells whether a task is a tracee.
func (ts *table) has(tid int32) bool {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	return ts.of[tid] != nil
}

// empty tells that no tracee is left. Children of our own, the helpers, may be.
func (ts *table) empty() bool {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	return len(ts.of) == 0
}

// enters is the stop of a tracee in a call.
func (ts *table) enters(task *member, call uint64) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	task.call = call
}

// isIn tells whether a tracee is stopped in exactly this call.
func (ts *table) isIn(c *shim.Call) bool {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	task := ts.of[c.Tid]
	return task != nil && task.call == c.ID
}

// postpone puts a tracee's call into the slow lane.
func (ts *table) postpone(c *shim.Call) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if task := ts.of[c.Tid]; task != nil && task.call == c.ID {
		task.slow = true
		ts.slow++
	}
}

// take notes that a call has its answer; nil: it ended otherwise.
func (ts *table) take(c *shim.Call) *member {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	task := ts.of[c.Tid]
	if task == nil || task.call != c.ID {
		return nil
	}
	ts.clear(task)
	return task
}

// end is the end of the call that a tracee is stopped in, if any.
func (ts *table) end(task *member) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	ts.clear(task)
}

func (ts *table) clear(task *member) {
	if task.slow {
		ts.slow--
	}
	task.call, task.slow = 0, false
}

// runs is the start of what a tracee makes in its call's place.
func (ts *table) runs(task *member, call rewritten) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	task.run, task.running = call, true
	ts.running++
}

// ran is the end of it.
func (ts *table) ran(task *member) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	task.running = false
	ts.running--
}

// runners are those who make a call in another's place.
func (ts *table) runners() (list []*member) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	for _, task := range ts.of {
		if task.running {
			list = append(list, task)
		}
	}
	return list
}

// wants says how to wait: not at all while something may come from the slow lane, an answer or
// the end of a hold, since a thread that waits cannot be woken for it; and with care where an end
// may be of one who is held.
func (ts *table) wants() (noHang, careful bool) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if ts.slow > 0 || ts.stay > 0 && ts.running == 0 {
		return true, true
	}
	return false, ts.held > 0
}

package ptrace

import (
	"errors"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/sys"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// member is a task of the tree, from the first that is heard of it until it runs no more
// code of its own.
type member struct {
	call    uint64 // the one that it is stopped in: shim.Call.ID; 0: none
	slow    bool   // which waits in the slow lane
	holds   int    // on its number, which is its own as long as it is traced
	leaving bool   // stopped at its exit until nobody holds it
	since   time.Time

	run     rewritten // what it makes in that call's place, if running: the tracer's thread's alone
	running bool
	steps   *steps // of which that is one; as run
	started bool   // has made its first stop
}

// tree is the one table of whom the tracer has. The slow lane looks into it, too.
type tree struct {
	mu      sync.Mutex // guards below
	of      map[int32]*member
	slow    int // calls in the slow lane
	holds   map[shim.Hold]held
	kept    int       // holds on tracees
	stay    int       // tracees that are leaving
	running int       // calls in another's place
	last    shim.Hold // given
	freed   []int32   // leaving, and held by nobody any more
	late    []lateAnswer
}

// held is what a Hold is on: a tracee, or somebody who was seized for it.
type held struct {
	tid  int32
	task *member
	pin  *pin
}

type lateAnswer struct {
	call    shim.Call
	verdict shim.Verdict
}

func newTree() tree {
	return tree{of: map[int32]*member{}, holds: map[shim.Hold]held{}}
}

// see is the entry of a tracee, which may be heard of for the first time.
func (t *Tracer) see(tid int32) *member {
	t.mu.Lock()
	defer t.mu.Unlock()
	task := t.of[tid]
	if task == nil {
		task = &member{}
		t.of[tid] = task
	}
	return task
}

// announce meets a new task, whose own first stop comes before or after its parent's,
// which names it. It may even be on its way out by then, and none of ours: ECHILD.
func (t *Tracer) announce(child int32) {
	const options = unix.WEXITED | unix.WSTOPPED | unix.WNOHANG | unix.WNOWAIT | unix.WALL | unix.WNOTHREAD
	if err := unix.Waitid(unix.P_PID, int(child), nil, options, nil); !errors.Is(err, unix.ECHILD) {
		t.see(child)
	}
}

// forget drops a task that is none any more: it has been reaped, or execve has taken it.
func (t *Tracer) forget(tid int32) {
	t.mu.Lock()
	task := t.of[tid]
	t.drop(tid, task)
	t.mu.Unlock()
	if task != nil {
		t.endCall(task)
	}
}

func (t *Tracer) drop(tid int32, task *member) {
	if task != nil && task.leaving {
		task.leaving = false
		t.stay--
	}
	delete(t.of, tid)
	delete(t.parked, tid)
	delete(t.expected, tid)
}

// endCall is the end of the call that a tracee is stopped in, or makes in its place.
func (t *Tracer) endCall(task *member) {
	t.mu.Lock()
	if task.slow {
		t.slow--
	}
	task.call, task.slow = 0, false
	t.mu.Unlock()
	t.abandon(task)
	t.returned(task)
}

// returned is the end of what a tracee made in its call's place.
func (t *Tracer) returned(task *member) {
	if !task.running {
		return
	}
	t.mu.Lock()
	task.running = false
	t.running--
	t.mu.Unlock()
	t.Release(task.run.hold)
	if seen := task.run.seen; seen != nil {
		task.run.seen = nil
		seen.Report(seen, task.run.as, nil)
	}
}

// runs is the start of it.
func (t *Tracer) runs(task *member, call rewritten) {
	t.mu.Lock()
	defer t.mu.Unlock()
	task.run, task.running = call, true
	t.running++
}

// leaves is PTRACE_EVENT_EXIT: nothing of the task's own runs any more. It is let go, so
// that everybody hears of its end in the kernel's own order: a tracee's parent can wait for
// it only after we have, when its pidfd has long been readable. What the tracer would reap
// is left to the parent, and the number with it: so whose number is held stays here until
// it is not. EXITKILL has nothing to do any more.
func (t *Tracer) leaves(tid int32, task *member) {
	t.endCall(task)
	t.mu.Lock()
	defer t.mu.Unlock()
	if task.holds > 0 {
		task.leaving, task.since = true, time.Now()
		t.stay++
		return
	}
	t.letGo(tid, task)
}

// Who may be waited for by a descriptor of ours stays to his end, which the tracer then tells.
//
// letGo may find that SIGKILL has ended the stop: then the task is a zombie before long,
// and reaped as such. Precondition: mu is held.
func (t *Tracer) letGo(tid int32, task *member) {
	if t.Ends != nil {
		if task.leaving {
			task.leaving = false
			t.stay--
		}
		t.resume(unix.PTRACE_CONT, tid, 0)
		return
	}
	t.drop(tid, task)
	_ = sys.PtraceDetach(tid, 0)
}

// execed follows a thread that called execve and now has its leader's id
// (PTRACE_EVENT_EXEC, "execve(2) under ptrace"): its former id is in the message.
func (t *Tracer) execed(tid int32) {
	former, errno := sys.PtraceEventMsg(tid)
	if errno == 0 && int32(former) != tid {
		t.forget(int32(former))
		t.forget(tid) // the leader: it may have died in whatever call it was, without a word
		t.see(tid)
	}
}

// Traces tells whether a task's end comes to us first.
func (t *Tracer) Traces(tid int32) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.of[tid] != nil
}

// alone tells that no tracee is left. Children of our own, the helpers, may be.
func (t *Tracer) alone() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.of) == 0
}

// Keep implements emulate.Keeper: a tracee's number is not given to another before we have
// let go of it. A leader that has ended is none any more, but while another thread of its
// process is held nobody can reap it.
func (t *Tracer) Keep(pid int32) (shim.Hold, shim.Guard, unix.Errno) {
	hold, errno := t.hold(pid)
	if errno == unix.ESRCH {
		var p *pin
		if p, errno = t.pins.keep(pid); errno == 0 {
			return t.holdPin(p), shim.GuardSeize, 0
		}
	}
	if errno == unix.EPERM || errno == unix.EALREADY {
		for _, tid := range t.Threads(pid) {
			if hold, _ = t.hold(tid); hold != 0 {
				errno = 0
				break
			}
		}
	}
	if errno != 0 {
		return 0, shim.GuardNone, errno
	}
	return hold, shim.GuardTracee, 0
}

// hold is ESRCH for who is no tracee. EALREADY: it has been at its exit for so long that
// nobody else may keep it there.
func (t *Tracer) hold(tid int32) (shim.Hold, unix.Errno) {
	t.mu.Lock()
	defer t.mu.Unlock()
	task := t.of[tid]
	switch {
	case task == nil:
		return 0, unix.ESRCH
	case task.leaving && time.Since(task.since) > shareable:
		return 0, unix.EALREADY
	}
	task.holds++
	t.kept++
	t.last++
	t.holds[t.last] = held{tid: tid, task: task}
	return t.last, 0
}

func (t *Tracer) holdPin(p *pin) shim.Hold {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last++
	t.holds[t.last] = held{pin: p}
	return t.last
}

// Release implements emulate.Keeper. Who waits for it at its exit goes when the loop comes
// by: whoever holds it from another thread has a call in the slow lane, for which the loop
// does not sleep.
func (t *Tracer) Release(hold shim.Hold) {
	if hold == 0 {
		return
	}
	t.mu.Lock()
	h := t.holds[hold]
	delete(t.holds, hold)
	if h.task != nil {
		t.kept--
		if h.task.holds--; h.task.holds == 0 && h.task.leaving {
			t.freed = append(t.freed, h.tid)
		}
	}
	t.mu.Unlock()
	if h.pin != nil {
		t.pins.release(h.pin)
	}
}

// settle lets go of those whom nobody holds any more, and gives the slow lane's answers.
func (t *Tracer) settle() {
	t.mu.Lock()
	for _, tid := range t.freed {
		if task := t.of[tid]; task != nil && task.leaving && task.holds == 0 {
			t.letGo(tid, task)
		}
	}
	t.freed = t.freed[:0]
	late := t.late
	t.late = nil
	t.mu.Unlock()
	for i := range late {
		c := &late[i].call
		err := t.answer(c, late[i].verdict)
		if err != nil {
			t.Log.Debug("answer from the slow lane", "tid", c.Tid, "error", err)
		}
		if c.Report != nil {
			c.Report(c, late[i].verdict, err)
		}
	}
}

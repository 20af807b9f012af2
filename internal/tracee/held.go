package tracee

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Held are the tasks that threads of this process trace, for the thread that reaps its
// children. The zero value is ready.
type Held struct {
	mu    sync.Mutex // guards below
	freed *sync.Cond
	by    map[int32]int // threads that trace the task, or try to
	keep  int32
	waits int // the thread that waits for keep; 0: the main thread
}

// Keep names the child whose end is the reaper's to see, with its status. Any other
// child of ours is an orphan whose end nobody asks for. Thread waits waits for the child.
func (h *Held) Keep(pid int32, waits int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.keep, h.waits = pid, waits
}

// Reap takes an event of our child pid, while no thread of ours traces it and none
// begins to: a traced child's stops would be taken from its tracer, and its number given
// away while it is relied on. That is waited for: there is an event, so the tracer is
// about to let go.
func (h *Held) Reap(pid int, take func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for h.by[int32(pid)] > 0 {
		h.wait()
	}
	take()
}

// wait has mu let go meanwhile.
func (h *Held) wait() {
	if h.freed == nil {
		h.freed = sync.NewCond(&h.mu)
	}
	h.freed.Wait()
}

// Traces tells whether a thread of this process traces the task.
func (h *Held) Traces(tid int32) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.by[tid] > 0
}

// awaitFree waits until no thread of this process traces the task: false if that takes too
// long.
func (h *Held) awaitFree(tid int32, patience time.Duration) bool {
	late := false
	timer := time.AfterFunc(patience, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		late = true
		if h.freed != nil {
			h.freed.Broadcast()
		}
	})
	defer timer.Stop()
	h.mu.Lock()
	defer h.mu.Unlock()
	for h.by[tid] > 0 && !late {
		h.wait()
	}
	return !late
}

func (h *Held) hold(tid int32) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.by == nil {
		h.by = map[int32]int{}
	}
	h.by[tid]++
}

// drop is the end of hold. What happened to a child of ours while it was traced has not
// woken the thread that reaps.
func (h *Held) drop(tid int32, wake bool) {
	h.mu.Lock()
	if h.by[tid]--; h.by[tid] <= 0 {
		delete(h.by, tid)
	}
	if h.freed != nil {
		h.freed.Broadcast()
	}
	waits := h.waits
	h.mu.Unlock()
	if wake {
		wakeReaper(waits)
	}
}

func (h *Held) kept(tid int32) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.keep == tid
}

// wakeReaper makes the main thread, and the one that waits for the child that is kept, look
// at their children again: a wait is restarted after the handler of any signal, and looks
// before it sleeps. SIGURG is the Go runtime's own and always handled.
func wakeReaper(waits int) {
	pid := unix.Getpid()
	_ = unix.Tgkill(pid, pid, unix.SIGURG)
	if waits != 0 {
		_ = unix.Tgkill(pid, waits, unix.SIGURG)
	}
}

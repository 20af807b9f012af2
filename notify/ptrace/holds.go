package ptrace

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/sys"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// holds are on the numbers that calls name: each of a tracee, or of somebody who was seized for it.
type holds struct {
	table *table
	pins  pins

	// These are guarded by the table's mu.
	of    map[shim.Hold]held
	last  shim.Hold // given
	freed []*member // leaving, and held by nobody any more
}

// held is what a Hold is on: one of the two.
type held struct {
	task *member
	pin  *pin
}

// keep is Tracer.Keep.
func (hs *holds) keep(pid int32, threads func(pid int32) []int32) (shim.Hold, shim.Guard, unix.Errno) {
	hold, errno := hs.onTracee(pid)
	if errno == unix.ESRCH {
		var p *pin
		if p, errno = hs.pins.keep(pid); errno == 0 {
			return hs.onPin(p), shim.GuardSeize, 0
		}
	}
	if errno == unix.EPERM || errno == unix.EALREADY {
		for _, tid := range threads(pid) {
			if hold, _ = hs.onTracee(tid); hold != 0 {
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

// onTracee is ESRCH for who is no tracee. EALREADY: it has been at its exit for so long that
// nobody else may keep it there.
func (hs *holds) onTracee(tid int32) (shim.Hold, unix.Errno) {
	hs.table.mu.Lock()
	defer hs.table.mu.Unlock()
	task := hs.table.of[tid]
	switch {
	case task == nil:
		return 0, unix.ESRCH
	case task.leaving && time.Since(task.since) > shareable:
		return 0, unix.EALREADY
	}
	task.holds++
	hs.table.held++
	hs.last++
	hs.of[hs.last] = held{task: task}
	return hs.last, 0
}

func (hs *holds) onPin(p *pin) shim.Hold {
	hs.table.mu.Lock()
	defer hs.table.mu.Unlock()
	hs.last++
	hs.of[hs.last] = held{pin: p}
	return hs.last
}

// release ends a hold. Who waits for it at its exit goes when the loop comes by.
func (hs *holds) release(hold shim.Hold) {
	if hold == 0 {
		return
	}
	hs.table.mu.Lock()
	h := hs.of[hold]
	delete(hs.of, hold)
	if h.task != nil {
		hs.table.held--
		if h.task.holds--; h.task.holds == 0 && h.task.leaving {
			hs.freed = append(hs.freed, h.task)
		}
	}
	hs.table.mu.Unlock()
	if h.pin != nil {
		hs.pins.release(h.pin)
	}
}

// leave is a tracee's exit: it is let go, but for one whose number is held. Of whom an end has to
// be told (stays), it goes on to that and is a tracee still.
func (hs *holds) leave(task *member, stays bool) {
	hs.table.mu.Lock()
	defer hs.table.mu.Unlock()
	if task.holds > 0 {
		task.leaving, task.since = true, time.Now()
		hs.table.stay++
		return
	}
	hs.letGo(task, stays)
}

// settle lets go of those at their exit whom nobody holds any more.
func (hs *holds) settle(stays bool) {
	hs.table.mu.Lock()
	defer hs.table.mu.Unlock()
	for _, task := range hs.freed {
		if hs.table.of[task.tid] == task && task.leaving && task.holds == 0 {
			hs.letGo(task, stays)
		}
	}
	hs.freed = hs.freed[:0]
}

// letGo may find that SIGKILL has ended the stop: then the task is a zombie before long,
// and reaped as such. Precondition: the table's mu is held.
func (hs *holds) letGo(task *member, stays bool) {
	hs.table.goes(task)
	if stays {
		_ = sys.PtraceResume(unix.PTRACE_CONT, task.tid, 0)
		return
	}
	delete(hs.table.of, task.tid)
	_ = sys.PtraceDetach(task.tid, 0)
}

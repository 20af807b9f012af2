package tracee

import (
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/sys"
)

// Set are the tracees of one thread. Precondition of everything: it is called by that
// thread, which is locked.
type Set struct {
	Held *Held

	held    []int32 // everybody
	leaving []int32 // to be let go at their next stop
	forgone []int32 // to be made to stop for it
}

// Seize traces a task: it runs on, and its number is not given to another before we have
// waited for its end. It can block where the task is in an execve that blocks, and waits a
// little for one that another thread of this process is about to let go of.
func (s *Set) Seize(tid int32, options int) unix.Errno {
	if i := slices.Index(s.leaving, tid); i >= 0 {
		s.leaving = slices.Delete(s.leaving, i, i+1) // not let go yet
		return 0
	}
	errno := s.seize(tid, options)
	if errno == unix.EPERM && s.Held.Traces(tid) && s.Held.awaitFree(tid, pinPatience) {
		return s.seize(tid, options)
	}
	return errno
}

func (s *Set) seize(tid int32, options int) unix.Errno {
	s.Held.hold(tid)
	errno := sys.PtraceSeize(tid, options)
	if errno != 0 {
		s.Held.drop(tid, false)
		return errno
	}
	s.held = append(s.held, tid)
	return 0
}

// Abandon is for a thread that ends now: the kernel lets go of its tracees then, and none
// of them has to stop for that.
func (s *Set) Abandon() {
	for _, tid := range s.held {
		s.Held.drop(tid, false)
	}
	s.held, s.leaving, s.forgone = nil, nil, nil
}

// drop is for a tracee that is none any more.
func (s *Set) drop(tid int32, wake bool) {
	if i := slices.Index(s.held, tid); i >= 0 {
		s.held = slices.Delete(s.held, i, i+1)
	}
	s.Held.drop(tid, wake)
}

// Interrupt makes a tracee stop. ESRCH: it is no tracee any more, because another of its
// threads called execve, or it is dead.
func (s *Set) Interrupt(tid int32) unix.Errno { return sys.PtraceInterrupt(tid) }

// Wait waits for the tracee's next stop; not alive: it has ended, and is none any more.
//
// It sleeps until anything happens to a tracee of the thread, never until something does to
// this number: a leader whose place another thread's execve takes is let go by the kernel,
// which wakes those who wait for the task by the number that it has by then (fs/exec.c,
// de_thread, 6.18), so who waits for its own is not.
func (s *Set) Wait(tid int32) (status unix.WaitStatus, alive bool) {
	for try := 0; ; try++ {
		status, what := wait(unix.P_PID, tid, unix.WNOHANG)
		switch what {
		case stopped:
			return status, true
		case ended, none:
			s.bury(tid, what == ended)
			return 0, false
		}
		if try > 0 {
			giveWay(try)
		}
		_, _ = wait(unix.P_ALL, 0, 0)
	}
}

// giveWay is for when another tracee has stopped, and stays so until this one has.
func giveWay(try int) {
	const spins = 1000
	if try < spins {
		sys.Yield()
		return
	}
	time.Sleep(100 * time.Microsecond) //nolint:forbidigo // nothing would tell of this one alone
}

// Detach lets a stopped tracee go on, with a signal if that is what it had stopped for.
func (s *Set) Detach(tid int32, sig unix.Signal) {
	for sys.PtraceDetach(tid, sig) != 0 {
		// It was killed in its stop. It stops once more before it ends (PTRACE_O_TRACEEXIT),
		// or is a zombie that waits for us before its parent.
		if _, alive := s.Wait(tid); !alive {
			return
		}
		sig = 0
	}
	s.drop(tid, s.Held.kept(tid) && hasNews(tid))
}

// bury ends the tracing of a dead task. Its parent is told then, unless that is us: of
// our own child the status would be gone.
func (s *Set) bury(tid int32, dead bool) {
	if dead && !s.Held.kept(tid) {
		sys.Reap(tid)
	}
	s.drop(tid, true)
}

// Release has a tracee let go by LetGo at its next stop, which is asked for. The error is
// Interrupt's.
func (s *Set) Release(tid int32) unix.Errno {
	s.leaving = append(s.leaving, tid)
	return sys.PtraceInterrupt(tid)
}

// Forgo is Release, but leaves the tracee alone until LetGo.
func (s *Set) Forgo(tid int32) { s.forgone = append(s.forgone, tid) }

// patience is how long LetGo looks again before it takes a task for one that may not stop
// for long: it waits in vfork, or for a device, or for the answer to a call of its own.
// An idle CPU takes some 100 us to come to a task's stop.
const patience = 300 * time.Microsecond

// leastTries is for a CPU that others use meanwhile.
const leastTries = 4

// LetGo lets go of those that have stopped, and waits a little for the others. If some
// are left it asks behind whether this thread may stay behind to wait for them. Where it
// may not, it ends (Abandon): not all have gone.
func (s *Set) LetGo(behind func() bool) (all bool) {
	for _, tid := range s.forgone {
		_ = s.Release(tid)
	}
	s.forgone = s.forgone[:0]
	if s.sweep(); len(s.leaving) == 0 {
		return true
	}
	start := time.Now()
	for try := 0; try < leastTries || time.Since(start) < patience; try++ {
		sys.Yield()
		if s.sweep(); len(s.leaving) == 0 {
			return true
		}
	}
	if behind() {
		s.waitAll()
	}
	return len(s.leaving) == 0
}

func (s *Set) waitAll() {
	for len(s.leaving) > 0 {
		if _, what := wait(unix.P_ALL, 0, 0); what == none {
			runtime.Gosched() // they are gone: sweep says so
		}
		s.sweep()
	}
}

// sweep looks at everyone who is to be let go.
func (s *Set) sweep() {
	for i := len(s.leaving) - 1; i >= 0; i-- {
		tid := s.leaving[i]
		status, what := wait(unix.P_PID, tid, unix.WNOHANG)
		if what == running {
			continue
		}
		s.leaving = slices.Delete(s.leaving, i, i+1)
		if what == stopped {
			s.Detach(tid, signalOf(status))
		} else {
			s.bury(tid, what == ended)
		}
	}
}

// signalOf is the signal that a stopped tracee is about to take.
func signalOf(status unix.WaitStatus) unix.Signal {
	if uint32(status)>>16 != 0 {
		return 0 // PTRACE_EVENT_STOP
	}
	return status.StopSignal()
}

package helper

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// All are the helper processes of a supervisor, which are its children: whoever
// waits for the last descendant of COMMAND has to end them first.
type All struct {
	mu     sync.Mutex  // guards below
	live   map[int]int // pid by socket
	closed bool

	dying   []int // killed, and not seen to have ended; the first of them is waited for
	reaping bool

	failing time.Time // since when none could be started; zero: the last one could
	tried   time.Time // when one was last tried to start
}

// Stop ends every helper and waits for it to end, without reaping it. The next question
// starts another. Precondition: called by the thread that reaps, so that a number that
// is still our child's stays so: what remove has not been told of is not reaped by us.
func (hs *All) Stop() {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	for socket, pid := range hs.live {
		_ = unix.Shutdown(socket, unix.SHUT_RDWR)
		end(pid)
		delete(hs.live, socket)
	}
}

// Close hangs up on every helper, and on those that are still started: nobody is left
// to be served. Whoever reaps our children would wait for them for ever.
func (hs *All) Close() {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	hs.closed = true
	for socket := range hs.live {
		_ = unix.Shutdown(socket, unix.SHUT_RDWR)
	}
}

// stopPatience is for one that is killed while it holds what others wait for.
const stopPatience = time.Second

func end(pid int) {
	wait := func() { time.Sleep(200 * time.Microsecond) } //nolint:forbidigo // waitid has no deadline, and old kernels no pidfd to poll
	for deadline := time.Now().Add(stopPatience); time.Now().Before(deadline); wait() {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WNOWAIT|unix.WNOHANG, nil)
		if err != nil || info.Signo != 0 {
			return
		}
		_ = unix.Kill(pid, unix.SIGKILL) //nolint:forbidigo // our child, not reaped: see Stop
	}
}

func (hs *All) add(socket, pid int) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	if hs.live == nil {
		hs.live = map[int]int{}
	}
	hs.live[socket] = pid
	if hs.closed {
		_ = unix.Shutdown(socket, unix.SHUT_RDWR)
	}
}

// Has tells whether a process is one of the helpers.
func (hs *All) Has(pid int32) bool {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	for _, helper := range hs.live {
		if helper == int(pid) {
			return true
		}
	}
	return false
}

func (hs *All) remove(socket int) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	delete(hs.live, socket)
}

// mostDying is how many helpers that were killed may be there at once. One that is in a sleep
// that no signal ends (state D: a server of files that is gone) is no use to kill: another in
// its place would only come to be there, too.
const mostDying = 16

// mayStart says ErrLate or errNone where no helper is to be started now.
func (hs *All) mayStart() error {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	hs.sweep()
	now := time.Now()
	switch {
	case len(hs.dying) >= mostDying:
		return hs.fail(now)
	case !hs.failing.IsZero() && now.Sub(hs.failing) > failPatience && now.Sub(hs.tried) < failPatience:
		return errNone
	}
	hs.tried = now
	return nil
}

// hasStarted takes how a start has ended, and says what is to be made of it.
func (hs *All) hasStarted(err error) error {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	if err == nil {
		hs.failing = time.Time{}
		return nil
	}
	return fmt.Errorf("%w: %w", hs.fail(time.Now()), err)
}

// fail is ErrLate until helpers have failed to start for some time, and then errNone. Precondition: mu is held.
func (hs *All) fail(now time.Time) error {
	if hs.failing.IsZero() {
		hs.failing = now
	}
	if now.Sub(hs.failing) <= failPatience {
		return ErrLate
	}
	return errNone
}

// failPatience is how long none may be had before those who ask are refused, and how often
// one is tried to start from then on.
const failPatience = 2 * time.Second

// reap waits for one that was killed. One goroutine, and so one thread, waits for all of them.
func (hs *All) reap(pid int) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	hs.dying = append(hs.dying, pid)
	hs.sweep()
	if !hs.reaping {
		hs.reaping = true
		go hs.reapAll()
	}
}

// sweep reaps those that have ended, but for the one that is waited for. Precondition: mu is held.
func (hs *All) sweep() {
	if len(hs.dying) < 2 {
		return
	}
	waited := hs.dying[:1]
	hs.dying = append(waited, slices.DeleteFunc(hs.dying[1:], func(pid int) bool { return ended(pid, unix.WNOHANG) })...)
}

func (hs *All) reapAll() {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	for len(hs.dying) > 0 {
		pid := hs.dying[0]
		hs.mu.Unlock()
		ended(pid, 0)
		hs.mu.Lock()
		hs.sweep()
		hs.dying = hs.dying[1:]
	}
	hs.reaping = false
}

// ended reaps a child, if it has ended or is to be waited for.
func ended(pid, options int) bool {
	for {
		got, err := unix.Wait4(pid, nil, options, nil)
		if !errors.Is(err, unix.EINTR) {
			return got != 0 || err != nil
		}
	}
}

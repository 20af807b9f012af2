package front

import (
	"errors"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// command is COMMAND as its parent has it: the supervisor, or the front if the
// supervisor has died. Its number is its own until take reaps it.
type command struct {
	pid  int
	reap func(pid int, take func()) // Hooks.Reap, or nil
	// whose is __WNOTHREAD where children are reaped by their own parent alone, the
	// calling thread: tracees of other threads are theirs.
	whose int

	mu sync.Mutex
	// guarded by mu
	reaped  bool
	waiting backlog
}

// pass gives COMMAND a signal that was sent to the front: with its siginfo, the
// sender's pid and uid in it, where the kernel lets a third party send that.
func (c *command) pass(p passed) {
	if p.whole {
		c.killGroup(p.signal())
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reaped {
		return
	}
	info, ok := p.forAnother()
	if ok && p.signal() >= firstRealtime {
		c.queue(&info)
		return
	}
	if ok && queueinfo(c.pid, p.signal(), &info) == nil {
		return
	}
	// Refused at the limit of queued signals (EAGAIN), or from the kernel itself.
	c.send(p.signal())
}

// send also serves where a filter around us refuses kill: what is sent to COMMAND's first
// thread stops, continues and ends all of it. Precondition: mu is held.
func (c *command) send(sig unix.Signal) {
	if unix.Kill(c.pid, sig) != nil { //nolint:forbidigo // our child, not reaped: mu is held
		_ = unix.Tgkill(c.pid, c.pid, sig)
	}
}

// over tells whether COMMAND has ended.
func (c *command) over() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reaped
}

func (c *command) kill(sig unix.Signal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.reaped {
		c.send(sig)
	}
}

// killGroup signals the whole group that COMMAND has made, if it has.
func (c *command) killGroup(sig unix.Signal) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if group, err := unix.Getpgid(c.pid); !c.reaped && err == nil && group == c.pid {
		_ = unix.Kill(-group, sig) //nolint:forbidigo // our child's, not reaped: mu is held
	}
}

// watch reaps every child until none is left, and reports what
// COMMAND does, if it is one. alone, if not nil, ends children that are not COMMAND's.
func (c *command) watch(report func(message), alone func()) error {
	for {
		pid, err := nextChild(c.whose)
		if errors.Is(err, unix.ECHILD) {
			return nil
		}
		if err != nil {
			return err
		}
		m, ok, err := c.take(pid, alone)
		if err != nil {
			return err
		}
		if ok {
			report(m)
		}
	}
}

// wait takes an event of child pid.
func (c *command) wait(pid int, status *unix.WaitStatus, options int) (got int, err error) {
	take := func() { got, err = unix.Wait4(pid, status, options|unix.WNOHANG, nil) }
	if c.reap == nil {
		take()
	} else {
		c.reap(pid, take)
	}
	return got, err
}

// take consumes the event of child pid, and says what it means for COMMAND. An error is one
// that would come again: a filter around us can refuse the call, and the event stays.
func (c *command) take(pid int, alone func()) (message, bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var status unix.WaitStatus
	got, err := c.wait(pid, &status, unix.WUNTRACED|unix.WCONTINUED)
	if c.reaped && alone != nil {
		alone()
	}
	if err != nil && !errors.Is(err, unix.ECHILD) {
		return message{}, false, os.NewSyscallError("wait4", err)
	}
	switch {
	case err != nil || got != c.pid:
		return message{}, false, nil
	case status.Stopped():
		return message{stopped, int32(status.StopSignal())}, true, nil
	case status.Continued():
		return message{kind: continued}, true, nil
	}
	c.reaped = true
	if alone != nil {
		alone()
	}
	if c.reapDead() {
		return message{endedLeaving, int32(status)}, true, nil
	}
	return message{ended, int32(status)}, true, nil
}

// reapDead reaps the children that have ended, and tells whether others live. The
// orphans of a child are ours before its end is seen (exit_notify in
// kernel/exit.c calls forget_original_parent first).
func (c *command) reapDead() (left bool) {
	for {
		pid, err := child(unix.WEXITED | unix.WNOHANG | c.whose)
		if err != nil || pid == 0 || pid == c.pid && !c.reaped {
			return err == nil
		}
		if _, err := c.wait(pid, nil, 0); err != nil && !errors.Is(err, unix.ECHILD) {
			return true // watch says so
		}
	}
}

package front

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"
)

// backlog are real-time signals that COMMAND's user has no room for (RLIMIT_SIGPENDING):
// the front has taken them, so that whoever sent them was told that they are on their way,
// and kill(2) would send them without their values, and many as one.
type backlog []*note

// backlogLimit is how many wait. More are left where they are: in the end the sender gets
// the kernel's EAGAIN.
const backlogLimit = 1 << 16

const firstRealtime = 32

// queue sends info in its order, or has it wait for room. Precondition: mu is held.
func (c *command) queue(info *note) {
	for len(c.waiting) >= backlogLimit && !c.reaped {
		c.mu.Unlock()
		time.Sleep(roomInterval) //nolint:forbidigo // nothing tells of room
		c.mu.Lock()
	}
	if len(c.waiting) == 0 {
		if !isAny(queueinfo(c.pid, info.signal(), info), unix.EAGAIN) {
			return
		}
		go c.drain()
	}
	c.waiting = append(c.waiting, info)
}

// roomInterval is how often it is tried whether there is room.
const roomInterval = time.Millisecond

// drain sends what waits, and ends with it or with COMMAND.
func (c *command) drain() {
	for {
		time.Sleep(roomInterval) //nolint:forbidigo // nothing tells of room
		if c.sendWaiting() {
			return
		}
	}
}

func (c *command) sendWaiting() (done bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.waiting) > 0 && !c.reaped {
		info := c.waiting[0]
		if errors.Is(queueinfo(c.pid, info.signal(), info), unix.EAGAIN) {
			return false
		}
		c.waiting = c.waiting[1:]
	}
	c.waiting = nil
	return true
}

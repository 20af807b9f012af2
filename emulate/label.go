package emulate

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/proc"
)

// labelOf is what the security module calls a task; empty where there is none.
func labelOf(dir *proc.Dir) string {
	text, err := dir.ReadText("attr/current")
	if err != nil {
		return ""
	}
	return text
}

// openLabel opens what a caller's label is read from at each of its calls, where a security
// module labels tasks: a label changes at execve, and where the task asks for another. The
// file stays the task's, not its program's (fs/proc/base.c, proc_pid_attr_read).
func (h *SendSignal) openLabel(c *caller) (err error) {
	if h.Self.Label == "" {
		return nil
	}
	if c.label, err = c.dir.Open("attr/current"); err != nil {
		c.label = -1
		return fmt.Errorf("open the label of thread %d: %w", c.tid, err)
	}
	c.labelled = h.isLabelled(c)
	return nil
}

// isLabelled tells whether the caller has another label than the supervisor, now. One that
// cannot be read is another.
func (h *SendSignal) isLabelled(c *caller) bool {
	if c.label < 0 {
		return false
	}
	if h.label == nil {
		h.label = make([]byte, len(h.Self.Label)+1)
	}
	for {
		n, err := unix.Pread(c.label, h.label, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		return err != nil || string(h.label[:max(n, 0)]) != h.Self.Label
	}
}

package emulate

import (
	"fmt"
	"sync"

	"github.com/pidfd-shim/pidfd-shim/internal/proc"
)

// Sandbox is the pid namespace of a container that others have started. Who first calls
// under a listener tells which: the outermost one below the supervisor's that it lives in,
// so that a namespace made inside the container is none. It is used by all workers.
type Sandbox struct {
	mu    sync.Mutex // guards below
	fd    int
	found bool
}

// of is the namespace, by a caller that waits in a call.
func (s *Sandbox) of(c *caller) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.found {
		return s.fd, nil
	}
	fd, err := outermost(c.dir, c.tasks.self.Pidns)
	if err != nil {
		return -1, fmt.Errorf("find the pid namespace of the container of thread %d: %w", c.tid, err)
	}
	s.fd, s.found = fd, true
	return fd, nil
}

// Close lets go of the namespace.
func (s *Sandbox) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.found {
		closeFD(s.fd)
		s.found = false
	}
}

// outermost climbs from a task's pid namespace to the last one below own; a task that
// lives in own itself has no other.
func outermost(dir *proc.Dir, own proc.NSID) (int, error) {
	ns, err := dir.OpenNS("pid")
	if err != nil {
		return -1, err
	}
	for {
		id, err := proc.NSOf(ns)
		if err != nil {
			closeFD(ns)
			return -1, err
		}
		if id == own {
			return ns, nil
		}
		parent, err := proc.NSParent(ns)
		if err != nil {
			closeFD(ns)
			return -1, err
		}
		above, err := proc.NSOf(parent)
		if err != nil || above == own {
			closeFD(parent)
			if err != nil {
				closeFD(ns)
				return -1, err
			}
			return ns, nil
		}
		closeFD(ns)
		ns = parent
	}
}

package emulate

import (
	"fmt"
	"sync"

	"github.com/pidfd-shim/pidfd-shim/internal/task"
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
	fd, err := task.Outermost(c.dir, c.tasks.Self.Pidns)
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

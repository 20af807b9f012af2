package session

import (
	"runtime"

	"github.com/pidfd-shim/pidfd-shim/helper"
)

// newReaders are the helper processes that read memory for all workers, those of attached
// sessions too: one for each worker of hundreds of listeners would need more memory than
// everything else, and one of a worker that was replaced would be left behind.
func (s *Session) newReaders() *helper.Pool[*helper.Helper] {
	return &helper.Pool[*helper.Helper]{Limit: runtime.GOMAXPROCS(0) + 1, New: func() *helper.Helper {
		h := s.helper("__reader")
		return &h
	}}
}

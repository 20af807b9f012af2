package session

import (
	"runtime"

	"github.com/pidfd-shim/pidfd-shim/helper"
)

// newReaders are the helper processes that read memory for all attached sessions: one
// for each worker of hundreds of listeners would need more memory than everything else.
func (s *Session) newReaders() *helper.Pool[*helper.Helper] {
	return &helper.Pool[*helper.Helper]{Limit: runtime.GOMAXPROCS(0) + 2, New: func() *helper.Helper {
		h := s.helper("__reader")
		return &h
	}}
}

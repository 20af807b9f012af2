package supervisor

import (
	"os"
	"runtime"

	"github.com/pidfd-shim/pidfd-shim/internal/helper"
	"github.com/pidfd-shim/pidfd-shim/internal/inject"
	"github.com/pidfd-shim/pidfd-shim/internal/role"
)

// newReaders are the helper processes that read memory for all workers, those of attached
// services too: one for each worker of hundreds of listeners would need more memory than
// everything else, and one of a worker that was replaced would be left behind.
func (b *Base) newReaders() *helper.Pool[*helper.Helper] {
	return &helper.Pool[*helper.Helper]{Limit: runtime.GOMAXPROCS(0) + 1, New: func() *helper.Helper {
		h := b.helper(role.Reader)
		return &h
	}}
}

// newHoppers are the threads of the process that traces callers for attached services. A
// listener outlives its agent, so its callers are to do so, too. A command under run gets
// ENOSYS when its supervisor has died: there one process less is worth more.
func (b *Base) newHoppers() *inject.Pool {
	return inject.NewPool(func(socket *os.File) (*os.Process, error) {
		return b.Helper(role.Hopper, socket)
	}, b.helpers)
}

package emulate

import (
	"sync/atomic"

	"github.com/pidfd-shim/pidfd-shim/internal/proc"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// Watch learns of what changes whom the kernel would let a caller signal. The few calls
// that do are notified, which the kernel then runs in the caller: reading it anew for
// every signal would cost a third of the signal. A nil Watch learns nothing.
type Watch struct {
	// Partial says that somebody else's filter may keep such calls from us: what one
	// tells is heeded, but nothing is known until the next.
	Partial bool

	// Proc is where tasks that enter a Landlock domain are looked up.
	Proc *proc.FS

	count   atomic.Uint64 // calls that may change a user namespace
	domains domains
}

// Namespace handles unshare(CLONE_NEWUSER) and setns, by which a thread may come into
// another user namespace. It makes its next call after this one, so whatever is read of
// it then is read of its new namespace.
func (w *Watch) Namespace(c *shim.Call) shim.Verdict {
	w.count.Add(1)
	c.Record.Path = shim.PathContinue
	return shim.Pass()
}

// generation tells how old what is known of user namespaces may be.
func (w *Watch) generation() uint64 {
	if w == nil {
		return 0
	}
	return w.count.Load()
}

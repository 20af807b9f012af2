package notify

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/sys"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// A caller that is made to run another call meets the filter again. Where the filter has
// that call too, as under a policy that names kill(2), it is notified a second time, and
// the one who waits for it to finish is the one who would have to let it through.

// injected are the calls that held callers were made to run. The registers are the
// supervisor's own, and nobody but the tracer who holds the caller can change them, so
// letting the kernel run them is safe. Each is marked, so that it is known from an equal
// call of the caller's own, which it makes as soon as it is let go: that one is judged.
type injected struct {
	Expected bool // the filter notifies of calls that callers are made to run

	count atomic.Int32 // of calls below, so that nobody locks without need

	mu    sync.Mutex // guards below
	calls map[int32]injection
}

// injection is such a call, and which one it stands for.
type injection struct {
	call shim.Rewrite
	of   uint64
}

// ExpectInjected says that the filter notifies of the calls that callers are made to run.
// Precondition: the kernel has FLAG_CONTINUE.
func (l *Listener) ExpectInjected() { l.injected.Expected = true }

// expectInjected returns the call as it is to be run.
func (l *Listener) expectInjected(c *shim.Call, call shim.Rewrite) shim.Rewrite {
	r := &l.injected
	if !r.Expected {
		return call
	}
	call = marked(call)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.calls == nil {
		r.calls = map[int32]injection{}
	}
	r.calls[c.Tid] = injection{call, c.ID}
	r.count.Store(int32(len(r.calls)))
	return call
}

// marked puts what nobody can guess where no call of the family has an argument. The caller
// never sees it: it has its own registers back before it runs. 32 bits each, for callers
// that have no more.
func marked(call shim.Rewrite) shim.Rewrite {
	mark := rand.Uint64()
	call.Args[4], call.Args[5] = mark>>32, mark&0xffffffff
	return call
}

// forgetInjected is the end of expectInjected. The thread may be at its next call by then, with
// another worker that has it run something.
func (l *Listener) forgetInjected(tid int32, of uint64) {
	r := &l.injected
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.calls[tid].of != of {
		return
	}
	delete(r.calls, tid)
	r.count.Store(int32(len(r.calls)))
}

// isInjected lets a call through that its caller was made to run, once.
func (l *Listener) isInjected(c *shim.Call) bool {
	r := &l.injected
	if r.count.Load() == 0 && l.delegated.count.Load() == 0 {
		return false
	}
	r.mu.Lock()
	expected, ok := r.calls[c.Tid]
	r.mu.Unlock()
	call := expected.call
	if !ok {
		call, ok = l.delegatedCall(c.Tid)
	}
	if !ok || uint32(call.Nr) != c.Frame.Nr || call.Args != c.Frame.Raw {
		return false
	}
	l.forgetInjected(c.Tid, expected.of)
	resp := sys.SeccompNotifResp{ID: c.ID, Flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
	_ = sys.SeccompNotifSend(l.fd, &resp)
	return true
}

// finish waits until the caller has run its call. Another worker receives meanwhile, and lets
// it through.
func (l *Listener) finish(c *shim.Call, runner shim.Runner) (shim.Result, error) {
	if l.injected.Expected {
		defer l.forgetInjected(c.Tid, c.ID)
	}
	return runner.Finish()
}

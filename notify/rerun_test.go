package notify

import (
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/shim"
)

// runner is one whose caller takes its answer and goes on to its next call.
type runner struct{ during func() }

func (runner) Run(*shim.Call, shim.Rewrite) (bool, error) { return false, nil }
func (r runner) Finish() (shim.Result, error)             { r.during(); return shim.Result{}, nil }

// The worker that has a call run receives meanwhile; in the slow lane it does not, because
// the fast one, which does, looks for nothing that others have kept.
func TestSlowLaneReceivesNothing(t *testing.T) {
	for _, slow := range []bool{false, true} {
		inChild(t, func(t *testing.T) {
			c := launch(t, true, "-m64", "syscall", "calls", "2")
			c.ExpectReruns()
			call := c.mustNext()
			call.Slow = slow
			call.Runner = runner{func() {
				c.expectLine("-513") // nobody holds it, so it sees what CallAgain says
				if slow {            // nothing tells of what does not happen
					for range 100_000 {
						runtime.Gosched()
					}
					return
				}
				for end := time.Now().Add(deadline); !c.keeps() && time.Now().Before(end); runtime.Gosched() {
				}
			}}
			c.answer(call, shim.Run(shim.Rewrite{}))
			if c.keeps() == slow {
				t.Errorf("slow %t: the next call was kept: %t", slow, c.keeps())
			}
			c.answer(c.mustNext(), shim.Return(7))
			c.expectLine("7")
		})
	}
}

// keeps tells whether a call is kept, or taken and about to be.
func (c *caller) keeps() bool {
	c.reruns.mu.Lock()
	kept := len(c.reruns.kept)
	c.reruns.mu.Unlock()
	fds := []unix.PollFd{{Fd: int32(c.fd), Events: unix.POLLIN}}
	n, err := unix.Poll(fds, 0)
	return kept > 0 && n == 0 && err == nil
}

package notify

import (
	"errors"
	"sync/atomic"
	"testing"

	"github.com/pidfd-shim/pidfd-shim/shim"
)

// tracer is who traces every thread, as a successor is told; unknown: it cannot be told.
type tracer struct {
	tid     atomic.Int32
	unknown atomic.Bool
}

func (x *tracer) of(int32) (int32, error) {
	if x.unknown.Load() {
		return 0, errors.New("no descriptors left")
	}
	return x.tid.Load(), nil
}

const hopper = 77 // a tid

// handedOver is a call of a dead supervisor that somebody else has, and its successor.
func handedOver(t *testing.T) (c *caller, call *shim.Call, next *Listener, who *tracer) {
	t.Helper()
	c = launch(t, true, "-m64", "syscall", "calls", "3")
	memory, err := NewJournal([]byte("a note"))
	if err != nil {
		t.Fatal(err)
	}
	c.Remember(memory)
	first := c.mustNext() // has other registers than those that come again in a loop
	c.answer(first, shim.Return(6))
	first.Finished()
	c.expectLine("6")
	call = c.mustNext()
	call.Delegate(hopper, shim.Rewrite{Nr: uint64(call.Frame.Nr), Args: call.Frame.Raw})
	if next, err = Adopt(duplicate(t, c.Listener)); err != nil {
		t.Fatal(err)
	}
	who = &tracer{}
	who.tid.Store(hopper)
	next.TellTracers(who.of)
	if r := next.Remember(successor(t, memory)); r != (Remains{Delegated: 1}) {
		t.Errorf("the memory holds %+v", r)
	}
	return c, call, next, who
}

func nextOf(t *testing.T, l *Listener) (call shim.Call, err error) {
	t.Helper()
	err = within(t, "a call", func() error { return nextShared(l, &call) })
	return call, err
}

// A call that another process has is not served, until it has let go of the caller.
func TestHandedCallIsLeftAlone(t *testing.T) {
	inChild(t, func(t *testing.T) {
		c, _, next, who := handedOver(t)
		for _, unknown := range []bool{false, true, false} {
			who.unknown.Store(unknown)
			if call, err := nextOf(t, next); !errors.Is(err, shim.ErrGone) {
				t.Errorf("unknown %t: call %d, %v: want none", unknown, call.ID, err)
			}
		}
		who.tid.Store(0)
		for range 2 {
			call, err := nextOf(t, next)
			if err != nil {
				t.Fatal(err)
			}
			if err := next.Answer(&call, shim.Return(7)); err != nil {
				t.Error(err)
			}
			call.Finished()
			c.expectLine("7")
		}
	})
}

// What it has answered is nobody's any more; and the call that it has the caller make may
// meet the filter again, where it is let through for as long as it has the caller.
func TestHandedCallIsLetThrough(t *testing.T) {
	for _, held := range []bool{true, false} {
		inChild(t, func(t *testing.T) {
			c, call, next, who := handedOver(t)
			result := native(t, "-m64", "syscall")
			if err := c.Answer(call, shim.Return(5)); err != nil {
				t.Fatal(err)
			}
			c.expectLine("5")
			c.waitPending() // the second call, the same as the first
			if held {
				ended := make(chan error, 1)
				go func() { // it lets calls through and returns with none
					var call shim.Call
					for {
						if err := nextShared(next, &call); !errors.Is(err, shim.ErrGone) {
							ended <- err
							return
						}
					}
				}()
				c.expectLine(result)
				who.tid.Store(0)
				_ = within(t, "the end", func() error { return <-ended })
				return
			}
			who.tid.Store(0)
			again, err := nextOf(t, next)
			if err != nil {
				t.Fatal(err)
			}
			if err := next.Answer(&again, shim.Return(7)); err != nil {
				t.Error(err)
			}
			c.expectLine("7")
		})
	}
}

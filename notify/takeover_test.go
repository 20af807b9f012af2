package notify

import (
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/shim"
)

// TestStuckWorkerLosesItsCall: a worker that is stuck with a call while its supervisor gives the
// listener up finds that it is another's when it comes back.
func TestStuckWorkerLosesItsCall(t *testing.T) {
	inChild(t, func(t *testing.T) {
		c := launch(t, true, "-m64", "syscall", "calls", "1")
		memory, err := NewJournal([]byte("a note"))
		if err != nil {
			t.Fatal(err)
		}
		c.Remember(memory)
		stuck := c.mustNext()
		next, err := Adopt(duplicate(t, c.Listener))
		if err != nil {
			t.Fatal(err)
		}
		if r := next.Remember(successor(t, memory)); r.Unserved != 1 {
			t.Fatalf("the successor finds %+v", r)
		}
		if stuck.BeginSend() || stuck.Delegate(1, shim.Rewrite{}) {
			t.Error("the stuck worker still may act on the call")
		}
		stuck.Sent(shim.Fail(unix.EPERM))
		stuck.Finished()
		call, err := nextOf(t, next)
		if err != nil {
			t.Fatal(err)
		}
		if !call.BeginSend() {
			t.Error("the successor may not act on the call")
		}
		if err := next.Answer(&call, shim.Return(7)); err != nil {
			t.Error(err)
		}
		call.Finished()
		c.expectLine("7")
	})
}

// TestRememberBesideHanded: taking over and looking after calls that another process has take
// their locks in one order.
func TestRememberBesideHanded(t *testing.T) {
	m := &Journal{bytes: make([]byte, journalSize)}
	for range 8 {
		s := m.take()
		s.open(80)
		binary.LittleEndian.PutUint64(s.bytes[receiveAt:], 1)
		s.Delegate(4711, shim.Rewrite{})
	}
	l := &Listener{journal: m, fd: -1, size: 80}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for range 2000 {
			l.delegated.set(m.takeOver(&Remains{}, -1))
		}
	}()
	for range 2000 {
		l.settleDelegated()
	}
	_ = within(t, "both", func() error { <-ended; return nil })
}

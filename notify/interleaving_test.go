package notify

import (
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/shim"
)

// holder is a worker that has a call, and its steps one by one. Each may come at any time:
// it may be stuck in a read, or its process may be stopped, while a successor takes over.
type holder struct {
	slot      *slot
	delegates bool // it has the caller make the call, through another process
	mayAct    bool
	acted     *int // how often the signal was sent, or the call given away
}

var holderSteps = []func(h *holder){
	func(h *holder) {
		if h.delegates {
			h.mayAct = h.slot.Delegate(4711, shim.Rewrite{Nr: 62})
		} else {
			h.mayAct = h.slot.BeginSend()
		}
	},
	func(h *holder) {
		if h.mayAct {
			*h.acted++
		}
	},
	func(h *holder) { h.slot.Sent(shim.Fail(unix.EAGAIN)) },
	func(h *holder) { h.slot.Done() },
}

// TestEveryInterleaving walks every order of the steps of a worker, of a successor that takes over
// and serves what it finds, and of a third that takes over from that one, all of them going on
// although they were taken from. The call is acted on at most once; and if nobody has acted
// by the end the last one is told that it is unserved, unless it was finished.
func TestEveryInterleaving(t *testing.T) {
	orders := 0
	for _, kinds := range [][3]bool{{false, false, false}, {true, false, false}, {false, true, true}, {true, true, true}} {
		walk(t, kinds, nil, [3]int{}, &orders)
	}
	t.Logf("%d orders", orders)
	if orders < 10_000 {
		t.Error("that is not every order")
	}
}

// steps of each: the first has the call from the start, the others begin by taking over.
var stepCount = [3]int{len(holderSteps), 1 + len(holderSteps), 1 + len(holderSteps)}

func walk(t *testing.T, kinds [3]bool, order []int, done [3]int, orders *int) {
	if t.Failed() {
		return
	}
	last := true
	for who := range done {
		// The third takes over from the second, so not before it.
		if done[who] == stepCount[who] || who == 2 && done[1] == 0 {
			continue
		}
		last = false
		next := done
		next[who]++
		walk(t, kinds, append(order[:len(order):len(order)], who), next, orders)
	}
	if last {
		*orders++
		play(t, kinds, order)
	}
}

func play(t *testing.T, kinds [3]bool, order []int) {
	m := &Journal{bytes: make([]byte, slotsAt+slotSize)}
	acted := 0
	first := m.take()
	first.open(80)
	binary.LittleEndian.PutUint64(first.bytes[receiveAt:], 1) // an id, as the kernel writes it
	holders := [3]*holder{{slot: first, delegates: kinds[0], acted: &acted}}
	at := [3]int{0, -1, -1}
	for _, who := range order {
		if at[who] < 0 {
			holders[who] = takeOver(t, m, kinds[who], &acted)
			at[who] = 0
			continue
		}
		if h := holders[who]; h != nil {
			holderSteps[at[who]](h)
		}
		at[who]++
	}
	if acted > 1 {
		t.Errorf("order %v, delegating %v: acted %d times", order, kinds, acted)
	}
	free := map[*byte]bool{}
	for _, s := range m.free {
		if free[&s.bytes[0]] {
			t.Errorf("order %v, delegating %v: a slot is free twice", order, kinds)
		}
		free[&s.bytes[0]] = true
	}
}

// takeOver is nil where nothing is left to serve.
func takeOver(t *testing.T, m *Journal, delegates bool, acted *int) *holder {
	t.Helper()
	var r Remains
	for range m.takeOver(&r, -1) {
		return nil // another process has it
	}
	s := m.leftover()
	if s == nil {
		return nil
	}
	if r.Unserved != 1 {
		t.Fatalf("%+v, and a call is left", r)
	}
	return &holder{slot: s, delegates: delegates, acted: acted}
}

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

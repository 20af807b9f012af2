package ptrace

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/shim"
)

// nobody is a number that no task has (kernel/pid.c: PID_MAX_LIMIT): requests for it do nothing.
const nobody = 1 << 30

func newHolds() (*table, *holds) {
	ts := &table{of: map[int32]*member{}}
	return ts, &holds{table: ts, of: map[shim.Hold]held{}}
}

// TestHeldStaysAtItsExit: whoever is named by a call in flight is let go when the last call that
// names it has returned, and not before.
func TestHeldStaysAtItsExit(t *testing.T) {
	ts, hs := newHolds()
	task := ts.see(nobody)
	first, errno := hs.onTracee(nobody)
	second, also := hs.onTracee(nobody)
	if errno != 0 || also != 0 || first == second {
		t.Fatalf("holds %d, %d: %v, %v", first, second, errno, also)
	}
	hs.leave(task, false)
	for i, hold := range []shim.Hold{first, second} {
		if hs.settle(false); !ts.has(nobody) || !task.leaving {
			t.Fatalf("it was let go while %d calls named it", 2-i)
		}
		if noHang, careful := ts.wants(); !noHang || !careful {
			t.Error("the loop would sleep, or reap it")
		}
		hs.release(hold)
		hs.release(hold) // of what has ended
	}
	if hs.settle(false); ts.has(nobody) || ts.stay != 0 || ts.held != 0 || len(hs.of) != 0 {
		t.Errorf("afterwards: %+v", ts)
	}
	if noHang, careful := ts.wants(); noHang || careful {
		t.Error("the loop has nothing to look after any more")
	}
	if _, errno := hs.onTracee(nobody); errno != unix.ESRCH {
		t.Errorf("one who is no tracee: %v", errno)
	}
}

// TestLeavesWithoutHolds: of whom an end has to be told it stays in the table until it is reaped.
func TestLeavesWithoutHolds(t *testing.T) {
	for _, stays := range []bool{false, true} {
		ts, hs := newHolds()
		hs.leave(ts.see(nobody), stays)
		if ts.has(nobody) != stays {
			t.Errorf("an end that is told %t: in the table %t", stays, ts.has(nobody))
		}
	}
}

// TestTableCountsCalls: each call is taken once, whatever becomes of its caller.
func TestTableCountsCalls(t *testing.T) {
	ts, _ := newHolds()
	c := &shim.Call{ID: 7, Tid: nobody}
	task := ts.see(nobody)
	ts.enters(task, c.ID)
	ts.postpone(c)
	if noHang, _ := ts.wants(); !noHang || !ts.isIn(c) {
		t.Error("the loop would sleep beside a call that was put off")
	}
	if ts.take(c) != task || ts.take(c) != nil || ts.isIn(c) || ts.slow != 0 {
		t.Errorf("a call was taken twice, or is still counted: %+v", ts)
	}
	ts.enters(task, 8)
	ts.postpone(&shim.Call{ID: 8, Tid: nobody})
	ts.end(task)
	if ts.drop(nobody); ts.slow != 0 || !ts.empty() {
		t.Errorf("it has ended: %+v", ts)
	}
}

// TestBirthsWait: a new tracee whose parent has not said who it is waits while a program may have a
// child, and goes with the last that does.
func TestBirthsWait(t *testing.T) {
	b := newBirths()
	one, other := &steps{}, &steps{}
	for _, s := range []*steps{one, other, one} {
		if free := b.count(s, true); len(free) != 0 {
			t.Fatalf("%v go", free)
		}
	}
	b.parked[nobody] = struct{}{}
	if free := b.count(one, false); len(free) != 0 {
		t.Errorf("%v go while another may have a child", free)
	}
	if free := b.count(other, false); len(free) != 1 || free[0] != nobody || b.awaited != 0 {
		t.Errorf("%v go, %d are awaited", free, b.awaited)
	}
}

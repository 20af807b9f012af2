package emulate

import (
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// calling is a call with the value 5 of a thread to another process.
func calling(tid int32) *attempt {
	a := &attempt{call: &shim.Call{Tid: tid}, caller: &caller{tid: tid, tgid: tid, start: 7}}
	a.req = request{pidfd: 3, sig: 34, info: 0x1000}
	a.info = arch.NewSiginfo(34, 0, arch.SI_QUEUE)
	a.info[24] = 5
	a.hasInfo = true
	a.target = target{pid: 99, tgid: 99}
	a.call.Frame.IP = 0x401000
	return a
}

// inNoTime runs a test by a clock that stands still: what the ledger takes for a restart
// depends on how long ago the caller was interrupted.
func inNoTime(test func(t *testing.T)) func(t *testing.T) {
	return func(t *testing.T) { synctest.Test(t, test) }
}

// TestLedger: when the second of two calls is taken for a restart of the first.
func TestLedger(t *testing.T) {
	gone := func(l *Ledger, a *attempt) { l.settled(a.call, shim.Return(0), shim.ErrGone) }
	taken := func(l *Ledger, a *attempt) { l.settled(a.call, shim.Return(0), nil) }
	calm := func(l *Ledger, a *attempt) { taken(l, a); l.entries[1].stormy = time.Now().Add(-time.Second) }
	storm := func(l *Ledger, a *attempt) { taken(l, a); l.interrupted(1) }
	for _, c := range []struct {
		name   string
		after  func(*Ledger, *attempt)
		change func(*attempt)
		want   bool
	}{
		{"answer refused", gone, func(*attempt) {}, true},
		{"answer taken in calm", calm, func(*attempt) {}, false},
		{"answer taken in a storm", storm, func(*attempt) {}, true},
		{"other value", gone, func(a *attempt) { a.info[24]++ }, false},
		{"other signal", gone, func(a *attempt) { a.req.sig++ }, false},
		{"other descriptor", gone, func(a *attempt) { a.req.pidfd++ }, false},
		{"other target", gone, func(a *attempt) { a.target.pid++ }, false},
		{"target gone by now", gone, func(a *attempt) { a.target.pid = 0 }, true},
		{"other place in the program", gone, func(a *attempt) { a.call.Frame.IP++ }, false},
		{"other thread", gone, func(a *attempt) { a.call.Tid++ }, false},
		{"the tid's next owner", gone, func(a *attempt) { a.caller.start++ }, false},
		{"garbage in unused registers", gone, func(a *attempt) { a.call.Frame.Raw[5]++; a.call.Args[5]++ }, true},
	} {
		t.Run(c.name, inNoTime(func(t *testing.T) {
			l := &Ledger{}
			first := calling(1)
			l.sent(first, shim.Return(0))
			c.after(l, first)
			again := calling(1)
			c.change(again)
			v, restarted := l.restart(again)
			if restarted != c.want {
				t.Fatalf("taken for a restart: %t, want %t", restarted, c.want)
			}
			if restarted && (v != shim.Return(0) || !again.call.Record.Duplicate || again.call.Settled == nil || l.Suppressed.Load() != 1) {
				t.Errorf("verdict %v, record %+v", v, again.call.Record)
			}
		}))
	}
}

// TestLedgerSelf: a signal to oneself is a storm of its own.
func TestLedgerSelf(t *testing.T) {
	inNoTime(func(t *testing.T) {
		l := &Ledger{}
		a := calling(1)
		a.target.tgid = 1
		l.sent(a, shim.Return(0))
		l.settled(a.call, shim.Return(0), nil)
		again := calling(1)
		again.target.tgid = 1
		if _, restarted := l.restart(again); !restarted {
			t.Error("the restart after the first signal to oneself is not known")
		}
	})(t)
}

// TestLedgerRunOfEqualCalls: of equal calls in a storm at most the second is lost.
func TestLedgerRunOfEqualCalls(t *testing.T) {
	l := &Ledger{}
	for range 10 {
		a := calling(1)
		if _, restarted := l.restart(a); !restarted {
			l.sent(a, shim.Return(0))
		}
		l.settled(a.call, shim.Return(0), nil)
		l.interrupted(1)
	}
	if n := l.Suppressed.Load(); n > 1 {
		t.Errorf("%d of 10 equal calls were suppressed", n)
	}
}

// TestLedgerRefusals: what was not sent is not remembered.
func TestLedgerRefusals(t *testing.T) {
	l := &Ledger{}
	a := calling(1)
	l.sent(a, shim.Fail(unix.EAGAIN))
	if _, restarted := l.restart(calling(1)); restarted || len(l.entries) != 0 {
		t.Error("a refused call is taken for a sent one")
	}
	var none *Ledger
	none.sent(a, shim.Return(0))
	if _, restarted := none.restart(a); restarted {
		t.Error("a nil ledger found something")
	}
}

// TestLedgerIsBounded: threads come and go.
func TestLedgerIsBounded(t *testing.T) {
	l := &Ledger{}
	for tid := int32(1); tid <= maxEntries+100; tid++ {
		l.sent(calling(tid), shim.Return(0))
	}
	if len(l.entries) > maxEntries {
		t.Errorf("%d entries", len(l.entries))
	}
}

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
	a := &attempt{call: &shim.Call{Tid: tid}, facts: facts{caller: &caller{tid: tid, tgid: tid, start: 7}}}
	a.info = arch.NewSiginfo(34, 0, arch.SI_QUEUE)
	a.info[24] = 5
	a.hasInfo = true
	a.target = target{pid: 99, tgid: 99}
	a.call.Frame.IP = 0x401000
	a.call.What, a.call.ABI = arch.PidfdSendSignal, arch.AMD64
	a.call.Args = arch.Args{3, 34, 0x1000}
	a.req = requestOf(a.call)
	return a
}

// inNoTime runs a test by a clock that stands still but for its own sleeps.
func inNoTime(test func(t *testing.T)) func(t *testing.T) {
	return func(t *testing.T) { synctest.Test(t, test) }
}

// TestLedger: when the second of two calls is taken for a restart of the first.
func TestLedger(t *testing.T) {
	gone := func(l *Ledger, a *attempt) { l.Settled(a.call, shim.Return(0), shim.ErrGone) }
	taken := func(l *Ledger, a *attempt) { l.Settled(a.call, shim.Return(0), nil) }
	late := func(l *Ledger, a *attempt) {
		gone(l, a)
		time.Sleep(200 * time.Millisecond) //nolint:forbidigo // by the clock of inNoTime
	}
	between := func(l *Ledger, a *attempt) {
		gone(l, a)
		other := calling(1)
		other.call.Frame.IP += 8
		l.Heard(other.call)
	}
	elsewhere := func(l *Ledger, a *attempt) {
		gone(l, a)
		other := calling(2)
		l.Heard(other.call)
		l.sent(other, shim.Return(0))
		taken(l, other)
	}
	for _, c := range []struct {
		name   string
		after  func(*Ledger, *attempt)
		change func(*attempt)
		want   bool
	}{
		{"answer refused", gone, func(*attempt) {}, true},
		{"answer taken", taken, func(*attempt) {}, false},
		{"refused long ago", late, func(*attempt) {}, false},
		{"another call between", between, func(*attempt) {}, false},
		{"another thread's call between", elsewhere, func(*attempt) {}, true},
		{"other value", gone, func(a *attempt) { a.info[24]++ }, false},
		{"other signal", gone, func(a *attempt) { a.call.Args[1]++; a.req.sig++ }, false},
		{"other descriptor", gone, func(a *attempt) { a.call.Args[0]++; a.req.pidfd++ }, false},
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
			l.Heard(again.call)
			v, restarted := l.restart(again)
			if restarted != c.want {
				t.Fatalf("taken for a restart: %t, want %t", restarted, c.want)
			}
			if restarted && (v != shim.Verdict{Kind: shim.KindReturn, Settler: l} || !again.call.Record.Duplicate || l.Suppressed.Load() != 1) {
				t.Errorf("verdict %v, record %+v", v, again.call.Record)
			}
			if !restarted && again.call.Tid == 1 && len(l.entries) != 0 {
				t.Error("the entry is still there: a third call would find it")
			}
		}))
	}
}

// TestLedgerWaitsForTheAnswer: a caller that has its answer is back before the worker that
// gave it knows. Its next call waits to hear, and is a new one.
func TestLedgerWaitsForTheAnswer(t *testing.T) {
	for _, answered := range []error{nil, shim.ErrGone} {
		inNoTime(func(t *testing.T) {
			l := &Ledger{}
			first := calling(1)
			l.sent(first, shim.Return(0))
			asked := make(chan bool, 1)
			go func() {
				again := calling(1)
				l.Heard(again.call)
				_, restarted := l.restart(again)
				asked <- restarted
			}()
			synctest.Wait()
			l.Settled(first.call, shim.Return(0), answered)
			if restarted := <-asked; restarted != (answered != nil) {
				t.Errorf("after %v: taken for a restart %t", answered, restarted)
			}
		})(t)
	}
}

// TestLedgerRunOfEqualCalls: of equal calls that are answered none is lost, whether they go
// to others or to oneself.
func TestLedgerRunOfEqualCalls(t *testing.T) {
	for _, target := range []int32{99, 1} {
		l := &Ledger{}
		for range 10 {
			a := calling(1)
			a.target.tgid = target
			l.Heard(a.call)
			if _, restarted := l.restart(a); !restarted {
				l.sent(a, shim.Return(0))
			}
			l.Settled(a.call, shim.Return(0), nil)
		}
		if n := l.Suppressed.Load(); n > 0 || len(l.entries) != 0 || l.kept.Load() != 0 {
			t.Errorf("%d of 10 equal calls to %d were suppressed, %d entries left", n, target, len(l.entries))
		}
	}
}

// TestEscapesAreForgotten: a caller that cannot be held three times in a row is sent for
// once, and then makes its calls itself again.
func TestEscapesAreForgotten(t *testing.T) {
	l := &Ledger{}
	for round := range 3 {
		for range maxFailedInjections {
			if l.injectionKeepsFailing(1) {
				t.Fatalf("round %d: sent for too early", round)
			}
			l.injected(1, false)
		}
		if !l.injectionKeepsFailing(1) || l.injectionKeepsFailing(1) {
			t.Fatalf("round %d: want it to be sent for once", round)
		}
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

package emulate

import (
	"cmp"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// Ledger recognises restarts. Without WAIT_KILLABLE_RECV (before 5.19, where it does not
// hold, and where a runtime installs the filter) a caller can be interrupted after its
// signal was sent; the kernel then makes it call again, or it gets EINTR and calls again
// itself. Such a call is answered with the first one's result and nothing is sent.
//
// A restart is known by thread, instruction, arguments, siginfo and target, and by coming
// next: an entry ends with any other call of its thread, with an answer that was accepted,
// and with time. What is left are two errors. A program that takes EINTR for final and at
// once sends the very same signal again loses that one. And an answer that was accepted can
// be thrown away by a signal that came with it, which nothing reports (some 4 of 100,000
// under a storm of signals): that call is sent twice.
//
// A nil Ledger never finds anything.
type Ledger struct {
	Suppressed atomic.Uint64

	kept atomic.Int32 // how many entries: most calls find none, and need no lock

	mu      sync.Mutex // guards below
	told    sync.Cond  // an answer was settled
	entries map[int32]*entry
	failed  map[int32]int // times in a row that a caller could not be held, by tid
}

type entry struct {
	key     key
	verdict shim.Verdict
	open    bool  // the answer is on its way: another worker is about to know
	at      int64 // when it was refused, by shim.Monotonic
}

// key is what a restart has in common with its first.
type key struct {
	start  uint64 // of the thread: tids come back
	ip     uint64
	req    request // not all registers: those that the call does not use hold anything
	info   arch.Siginfo
	target int32
}

func keyOf(a *attempt) key {
	return key{a.caller.start, a.call.Frame.IP, a.req, a.info, a.target.pid}
}

// matches lets the target be gone by now: the first call may have killed it.
func (k key) matches(again key) bool {
	if again.target == 0 {
		again.target = k.target
	}
	return k == again
}

// restartWithin is how long after its first a restart comes: it has a handler to run before.
const restartWithin = int64(100 * time.Millisecond)

// maxEntries bounds the ledger: one entry a thread, and threads come and go.
const maxEntries = 4096

// Heard ends the entry of a thread that makes another call than it says. What the kernel
// runs without asking us is not heard of.
func (l *Ledger) Heard(c *shim.Call) {
	if l == nil || l.kept.Load() == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.entries[c.Tid]; e != nil && (e.key.ip != c.Frame.IP || e.key.req != requestOf(c)) {
		l.forget(c.Tid)
	}
}

// restart finds the verdict of the call that this one repeats.
func (l *Ledger) restart(a *attempt) (shim.Verdict, bool) {
	if l == nil || l.kept.Load() == 0 {
		return shim.Verdict{}, false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.await(a.call.Tid)
	if e == nil {
		return shim.Verdict{}, false
	}
	came := cmp.Or(a.call.Received, shim.Monotonic())
	if a.caller == nil || !e.key.matches(keyOf(a)) || came-e.at > restartWithin {
		l.forget(a.call.Tid)
		return shim.Verdict{}, false
	}
	e.open = true
	l.Suppressed.Add(1)
	a.call.Record.Duplicate = true
	return e.verdict, true
}

// await is the entry of a thread once its answer has been accepted, upon which there is
// none, or refused: a caller can be back with its next call before the worker that answered
// it knows. Precondition: mu is held.
func (l *Ledger) await(tid int32) *entry {
	l.told.L = &l.mu
	for {
		e := l.entries[tid]
		if e == nil || !e.open {
			return e
		}
		l.told.Wait()
	}
}

// sent notes a call whose signal went out, until its answer is accepted.
func (l *Ledger) sent(a *attempt, v shim.Verdict) shim.Verdict {
	if l == nil || v.Kind != shim.KindReturn {
		return v
	}
	v.Settler = l
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.entries == nil {
		l.entries = map[int32]*entry{}
	}
	if l.entries[a.call.Tid] == nil {
		l.makeRoom()
		l.kept.Add(1)
	}
	l.entries[a.call.Tid] = &entry{key: keyOf(a), verdict: v, open: true}
	return v
}

// Settled implements shim.Settler: it learns whether the answer was accepted.
func (l *Ledger) Settled(c *shim.Call, _ shim.Verdict, answered error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.entries[c.Tid]
	switch {
	case e == nil:
	case errors.Is(answered, shim.ErrGone):
		e.open, e.at = false, shim.Monotonic()
	default:
		l.forget(c.Tid)
	}
	l.told.Broadcast()
}

// forget ends an entry. Preconditions: mu is held, and there is one.
func (l *Ledger) forget(tid int32) {
	delete(l.entries, tid)
	l.kept.Add(-1)
	l.told.Broadcast() // whoever waits for its answer finds none
}

// makeRoom forgets threads that no longer exist, and if all live, one of them.
// Precondition: mu is held.
func (l *Ledger) makeRoom() {
	if len(l.entries) < maxEntries {
		return
	}
	for tid := range l.entries {
		if kill(tid, 0) == unix.ESRCH {
			l.forget(tid)
		}
	}
	for tid := range l.entries {
		if len(l.entries) < maxEntries {
			return
		}
		l.forget(tid)
	}
}

// maxFailedInjections is how often in a row a caller may escape its injection before it is sent
// for from outside: under a storm of signals it would never get to send.
const maxFailedInjections = 3

// injected notes whether a caller ran the call that it was given.
func (l *Ledger) injected(tid int32, ran bool) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if ran {
		delete(l.failed, tid)
		return
	}
	if l.failed == nil || len(l.failed) >= maxEntries {
		l.failed = map[int32]int{}
	}
	l.failed[tid]++
}

// injectionKeepsFailing reports whether a caller has escaped its injection too often: this one of
// its calls is sent for, and the next one may be its own again.
func (l *Ledger) injectionKeepsFailing(tid int32) bool {
	if l == nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.failed[tid] < maxFailedInjections {
		return false
	}
	delete(l.failed, tid)
	return true
}

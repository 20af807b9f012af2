package emulate

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// Ledger recognises restarts. Without WAIT_KILLABLE_RECV (before 5.19, and where a
// runtime installs the filter) a caller can be interrupted after its signal was sent;
// the kernel then makes it call again, or it gets EINTR and calls again itself. Such a
// call is answered with the first one's result and nothing is sent.
//
// A restart is known by thread, instruction, arguments, siginfo and target. Two cases:
//
//   - the first answer was refused (the caller no longer waited): the next identical
//     call is its restart. Wrong only for a program that takes EINTR for final and
//     then means to send the very same signal again.
//   - the first answer was accepted but thrown away by a signal that arrived with it,
//     which nothing reports. An identical call is taken for that only while the thread
//     is being interrupted, and only if its stream of calls varied before: a run of
//     equal calls can thereby lose its second one, once.
//
// A nil Ledger never finds anything.
type Ledger struct {
	Suppressed atomic.Uint64

	mu      sync.Mutex // guards below
	entries map[int32]*entry
	missed  map[int32]int // times in a row that a caller could not be held, by tid
}

type entry struct {
	key     key
	verdict shim.Verdict
	lost    bool // the answer was refused
	varied  bool // the call differed from the one before
	stormy  time.Time
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

// recently is how long an interruption makes a lost answer plausible.
const recently = 100 * time.Millisecond

// maxEntries bounds the ledger: one entry a thread, and threads come and go.
const maxEntries = 4096

// restart finds the verdict of the call that this one repeats.
func (l *Ledger) restart(a *attempt) (shim.Verdict, bool) {
	if l == nil || a.caller == nil {
		return shim.Verdict{}, false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.entries[a.call.Tid]
	if e == nil || !e.key.matches(keyOf(a)) {
		return shim.Verdict{}, false
	}
	if !e.lost && !(e.varied && time.Since(e.stormy) < recently) {
		return shim.Verdict{}, false
	}
	if !e.lost {
		e.varied = false
	}
	l.Suppressed.Add(1)
	a.call.Record.Duplicate = true
	a.call.Settled = l.settled
	return e.verdict, true
}

// sent notes a call whose signal went out.
func (l *Ledger) sent(a *attempt, v shim.Verdict) {
	if l == nil || v.Kind != shim.KindReturn {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.entries == nil {
		l.entries = map[int32]*entry{}
	}
	e := l.entries[a.call.Tid]
	if e == nil {
		l.makeRoom()
		e = &entry{}
		l.entries[a.call.Tid] = e
	}
	k := keyOf(a)
	e.varied = e.key != k
	e.key, e.verdict, e.lost = k, v, true // until the answer is accepted
	if a.toItself() {
		e.stormy = time.Now() // the signal itself interrupts the caller
	}
	a.call.Settled = l.settled
}

// settled learns whether the answer was accepted.
func (l *Ledger) settled(c *shim.Call, _ shim.Verdict, answered error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.entries[c.Tid]
	if e == nil {
		return
	}
	e.lost = errors.Is(answered, shim.ErrGone)
	if e.lost {
		e.stormy = time.Now()
	}
}

// interrupted notes that a thread's call vanished before anything was sent.
func (l *Ledger) interrupted(tid int32) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if e := l.entries[tid]; e != nil {
		e.stormy = time.Now()
	}
}

// makeRoom forgets threads that no longer exist, and if all live, one of them.
// Precondition: mu is held.
func (l *Ledger) makeRoom() {
	if len(l.entries) < maxEntries {
		return
	}
	for tid := range l.entries {
		if kill(tid, 0) == unix.ESRCH {
			delete(l.entries, tid)
		}
	}
	for tid := range l.entries {
		if len(l.entries) < maxEntries {
			return
		}
		delete(l.entries, tid)
	}
}

// patience is how often in a row a caller may escape its hop before it is sent for from
// outside: under a storm of signals it would never get to send.
const patience = 3

// hopped notes whether a caller ran the call that it was given.
func (l *Ledger) hopped(tid int32, ran bool) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if ran {
		delete(l.missed, tid)
		return
	}
	if l.missed == nil || len(l.missed) >= maxEntries {
		l.missed = map[int32]int{}
	}
	l.missed[tid]++
}

// escapes tells of a caller that has escaped its hop too often.
func (l *Ledger) escapes(tid int32) bool {
	if l == nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.missed[tid] >= patience
}

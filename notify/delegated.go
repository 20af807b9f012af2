package notify

import (
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pidfd-shim/pidfd-shim/internal/sys"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// A supervisor that died had handed some of its calls to a process that outlives it, which
// traces the caller, answers the notification and has another call run. As long as it
// does, the call is its own: to serve it again would be to send twice. Where it has let go
// and the caller still waits, nothing was done.

// delegated are such calls of a dead supervisor.
type delegated struct {
	count atomic.Int32 // of slots

	// Lock order: this one, then the Journal's. Nothing is asked for this one under that.
	mu    sync.Mutex // guards below
	slots []*slot
}

// TellTracers tells l how to find out who traces a thread: 0 for nobody. Without it what was
// handed over is taken for let go.
func (l *Listener) TellTracers(tracer func(tid int32) (pid int32, err error)) { l.tracer = tracer }

func (h *delegated) set(slots []*slot) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.slots = slots
	h.count.Store(int32(len(slots)))
}

// settleDelegated looks who has been let go: those that wait are served, of the others the
// call has been carried out, or was interrupted before it could be.
func (l *Listener) settleDelegated() {
	h := &l.delegated
	if h.count.Load() == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	var still []*slot
	for _, s := range h.slots {
		id := binary.LittleEndian.Uint64(s.bytes[receiveAt+notifID:])
		switch {
		case l.has(s):
			still = append(still, s)
		case sys.SeccompNotifIDValid(l.fd, l.validIO, &id) == 0:
			l.journal.leave(s)
		default:
			s.Done()
		}
	}
	h.slots = still
	h.count.Store(int32(len(still)))
}

// has tells whether the one to whom a call was handed has its caller, or may have it.
func (l *Listener) has(s *slot) bool {
	if l.tracer == nil {
		return false
	}
	pid, err := l.tracer(s.tid())
	return err != nil || pid == s.delegatedTo()
}

// delegatedCall is the call that a thread is made to run by the one who has it now.
func (l *Listener) delegatedCall(tid int32) (call shim.Rewrite, ok bool) {
	h := &l.delegated
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.slots {
		if s.tid() != tid || l.tracer == nil {
			continue
		}
		if pid, err := l.tracer(tid); err == nil && pid == s.delegatedTo() {
			return s.rewrite(), true
		}
	}
	return call, false
}

func (s *slot) tid() int32 {
	return int32(binary.LittleEndian.Uint32(s.bytes[receiveAt+notifPid:]))
}

// delegatedLook is how often handed calls are looked at: nothing tells of their end.
const delegatedLook = 5 * time.Millisecond

// patience is after how long to look again: 0 where nothing is handed over any more.
func (h *delegated) patience() time.Duration {
	if h.count.Load() > 0 {
		return delegatedLook
	}
	return 0
}

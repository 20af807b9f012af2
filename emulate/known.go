package emulate

import (
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// Known are the handlers of a process, of all its sandboxes, for what they remember of callers:
// where descriptors run out every one gives its own back, also those that nobody uses now.
type Known struct {
	mu  sync.Mutex // guards below
	all map[*SendSignal]struct{}
}

func (k *Known) add(h *SendSignal) {
	if k == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.all == nil {
		k.all = map[*SendSignal]struct{}{}
	}
	k.all[h] = struct{}{}
}

func (k *Known) remove(h *SendSignal) {
	if k == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.all, h)
}

// giveBack drops what handlers know that are at no call; who is at one does so for itself.
func (k *Known) giveBack() {
	if k == nil {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for h := range k.all {
		if h.busy.CompareAndSwap(false, true) {
			h.callers.dropAll()
			h.busy.Store(false)
		}
	}
}

// begin marks the handler as at a call: each of its entries does. It waits for who drops what the
// handler knows.
func (h *SendSignal) begin() {
	for !h.busy.CompareAndSwap(false, true) {
		runtime.Gosched()
	}
}

// giveBack is for when descriptors have run out: the call is tried again later.
func (h *SendSignal) giveBack() {
	h.callers.dropAll()
	h.Known.giveBack()
}

// isShort reports whether an errno says no more than that we lack descriptors, when nothing has
// gone out yet: no signal is refused with one of those.
func (h *SendSignal) isShort(a *attempt, errno unix.Errno) bool {
	if errno != unix.EMFILE && errno != unix.ENFILE || a.out {
		return false
	}
	h.giveBack()
	return true
}

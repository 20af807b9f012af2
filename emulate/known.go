package emulate

import (
	"sync"
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

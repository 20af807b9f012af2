package tracee

import (
	"structs"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/sys"
)

// holder is a task of this process that runs holder_amd64.s and nothing of Go. That has the
// offsets.
type holder struct {
	_      structs.HostLayout
	state  atomic.Uint32 // a futex
	tid    int32         // its own
	target int64         // whom to seize
	result int64         // of ptrace(PTRACE_SEIZE)
	mask   uint64        // of the thread that starts it
}

// startHolder is nil where the kernel gives no more tasks.
func startHolder() *holder {
	h := &holder{}
	tid := cloneHolder(h)
	if tid < 0 {
		return nil
	}
	h.tid = int32(tid)
	holders.mu.Lock()
	defer holders.mu.Unlock()
	if holders.living == nil {
		holders.living = map[*holder]struct{}{}
	}
	holders.living[h] = struct{}{}
	return h
}

// cloneHolder is clone(2) with what pthread_create asks for but a stack: the task has every
// signal blocked and calls nothing.
//
//go:noescape
func cloneHolder(h *holder) int64

func (h *holder) tell(state uint32) {
	h.state.Store(state)
	sys.FutexWake(&h.state)
}

// comeHere has the task run on this processor, which is about to wait for it. To wake another
// one takes longer than all that the task does.
func (h *holder) comeHere() {
	cpu, errno := sys.Processor()
	var here unix.CPUSet
	if here.Set(cpu); errno == 0 {
		_ = sys.SetAffinity(h.tid, &here)
	}
}

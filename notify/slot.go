package notify

import (
	"encoding/binary"
	"sync/atomic"

	"github.com/pidfd-shim/pidfd-shim/internal/sys"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// slot has one call, for the holder of one generation. It implements shim.Entry.
type slot struct {
	journal    *Journal
	bytes      []byte
	generation uint32
}

var _ shim.Entry = (*slot)(nil)

func (s *slot) state() *uint32 { return sys.WordAt(s.bytes) }

func (s *slot) word(state uint32) uint32 { return s.generation<<stateBits | state }

// move is a step of this holder's: false if the slot is another's by now, or elsewhere.
func (s *slot) move(from, to uint32) bool {
	return atomic.CompareAndSwapUint32(s.state(), s.word(from), s.word(to))
}

// seize takes the slot from whoever holds it, and returns how far the call had come. From
// here on no step of the other succeeds.
func (s *slot) seize() uint32 {
	for {
		was := atomic.LoadUint32(s.state())
		state := was & (1<<stateBits - 1)
		switch {
		case state == slotOpen && was>>stateBits == 0 && s.delegatedTo() != 0: // version 1's word for it
			state = slotDelegated
		case state == slotDelegating:
			state = slotOpen
		case state == slotDeciding:
			state = slotSending
		}
		if atomic.CompareAndSwapUint32(s.state(), was, s.word(state)) {
			return state
		}
	}
}

// received is where the kernel writes.
func (s *slot) received(size int) []byte { return s.bytes[receiveAt : receiveAt+size] }

// BeginSend implements shim.Entry. What is sent in two steps says so twice.
func (s *slot) BeginSend() bool {
	return s.move(slotOpen, slotSending) || atomic.LoadUint32(s.state()) == s.word(slotSending)
}

// Sent implements shim.Entry: only what has been sent must not be decided again.
func (s *slot) Sent(v shim.Verdict) {
	if !s.move(slotSending, slotDeciding) {
		return
	}
	binary.LittleEndian.PutUint32(s.bytes[4:], uint32(v.Errno))
	binary.LittleEndian.PutUint64(s.bytes[8:], uint64(v.Value))
	s.move(slotDeciding, slotSent)
}

// Delegate implements shim.Entry.
func (s *slot) Delegate(tracer int32, call shim.Rewrite) bool {
	if !s.move(slotOpen, slotDelegating) {
		return false
	}
	binary.LittleEndian.PutUint64(s.bytes[rewriteAt:], call.Nr)
	for i, arg := range call.Args {
		binary.LittleEndian.PutUint64(s.bytes[rewriteAt+8*(i+1):], arg)
	}
	atomic.StoreUint32(sys.WordAt(s.bytes[delegatedAt:]), uint32(tracer))
	return s.move(slotDelegating, slotDelegated)
}

func (s *slot) delegatedTo() int32 {
	return int32(atomic.LoadUint32(sys.WordAt(s.bytes[delegatedAt:])))
}

func (s *slot) rewrite() (call shim.Rewrite) {
	call.Nr = binary.LittleEndian.Uint64(s.bytes[rewriteAt:])
	for i := range call.Args {
		call.Args[i] = binary.LittleEndian.Uint64(s.bytes[rewriteAt+8*(i+1):])
	}
	return call
}

func (s *slot) answer(id uint64) *sys.SeccompNotifResp {
	return &sys.SeccompNotifResp{
		ID: id, Val: int64(binary.LittleEndian.Uint64(s.bytes[8:])), Error: -int32(binary.LittleEndian.Uint32(s.bytes[4:])),
	}
}

// Done implements shim.Entry. A slot that is another's by now is not ours to free.
func (s *slot) Done() {
	for {
		was := atomic.LoadUint32(s.state())
		if was>>stateBits != s.generation || was == s.word(slotFree) {
			return
		}
		if atomic.CompareAndSwapUint32(s.state(), was, s.word(slotFree)) {
			break
		}
	}
	s.journal.mu.Lock()
	defer s.journal.mu.Unlock()
	if s.generation == s.journal.generation { // else who has taken over counts it as free
		s.journal.free = append(s.journal.free, s)
	}
}

// open makes the slot ready to be received into.
func (s *slot) open(size int) {
	clear(s.received(size))
	atomic.StoreUint32(sys.WordAt(s.bytes[delegatedAt:]), 0)
	atomic.StoreUint32(s.state(), s.word(slotOpen))
}

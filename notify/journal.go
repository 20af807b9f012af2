package notify

import (
	"encoding/binary"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/sys"
)

// Journal is where a listener's calls are received into: a memfd that outlives the process
// if somebody keeps a descriptor of it beside the listener's. A notification can be
// received once only, so a supervisor that dies would leave its callers waiting for
// ever; its successor finds them here. Beside each call stands how far it has come.
//
// A note of whoever made it goes in front. Its layout, little-endian:
//
//	0     magic, version uint32; length of the note uint32; the note
//	4084  generation uint32: how often a supervisor has taken the memory over
//	4088  how many slots have ever been used uint32
//	4096  slots of 256 bytes: state (its holder's generation above 8 bits of slot...), errno
//	      uint32; value int64; tid of who carries the call out uint32; at 64 the notification;
//	      at 200 the call that it is given: number and six arguments uint64
//
// A slot moves from one state to the next by compare-and-swap, and only for the holder of
// its generation: a worker that is stuck while a successor takes over, and comes back,
// cannot carry out a call that the successor has by then (docs/RELIABILITY.md).
type Journal struct {
	file  *os.File
	bytes []byte

	mu         sync.Mutex // guards below
	generation uint32
	free       []*slot
	left       []*slot // of a dead supervisor: to be served first
}

const (
	journalMagic = "pidfdshm"
	journalV1    = 1 // without generations, which are 0 there
	journalV2    = 2
	noteAt       = 16
	generationAt = 4084
	usedAt       = 4088
	slotsAt      = 4096
	slotSize     = 256
	slotCount    = 1024
	journalSize  = slotsAt + slotCount*slotSize
	delegatedAt  = 16 // in a slot
	receiveAt    = 64
	rewriteAt    = 200
)

// The states of a slot. Whoever takes over finds: slotFree, nothing; slotOpen and
// slotDelegating, a call that nobody has acted on; slotSending and slotDeciding, one whose signal
// may or may not be out; slotSent, the answer; slotDelegated, one that another process has.
const (
	slotFree       = iota
	slotOpen       // a call is received here, or being decided: nothing has been sent
	slotSending    // the signal may or may not be out
	slotSent       // it is out: errno and value are the answer
	slotDeciding   // from slotSending: the answer is being written
	slotDelegating // from slotOpen: who gets the call is being written
	slotDelegated  // another process traces the caller and has it make the call
)

// stateBits are below the generation.
const stateBits = 8

// NewJournal makes an empty one.
func NewJournal(note []byte) (*Journal, error) {
	if len(note) > generationAt-noteAt {
		return nil, fmt.Errorf("make a memory of calls: a note of %d bytes, at most %d fit", len(note), generationAt-noteAt)
	}
	fd, err := unix.MemfdCreate("pidfd-shim calls", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	file := os.NewFile(uintptr(fd), "calls")
	err = unix.Ftruncate(fd, journalSize)
	if err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL)
	}
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("make a memory of calls: %w", err)
	}
	m, err := mapJournal(file)
	if err != nil {
		return nil, err
	}
	copy(m.bytes, journalMagic)
	binary.LittleEndian.PutUint32(m.bytes[8:], journalV2)
	binary.LittleEndian.PutUint32(m.bytes[12:], uint32(len(note)))
	copy(m.bytes[noteAt:], note)
	return m, nil
}

// OpenJournal takes over what a supervisor before this one has left. It takes ownership
// of the file, also where it refuses it.
func OpenJournal(file *os.File) (m *Journal, note []byte, err error) {
	info, err := file.Stat()
	if err == nil && info.Size() != journalSize {
		err = fmt.Errorf("%d bytes, not %d", info.Size(), journalSize)
	}
	if err != nil {
		_ = file.Close()
		return nil, nil, fmt.Errorf("open a memory of calls: %w", err)
	}
	if m, err = mapJournal(file); err != nil {
		return nil, nil, err
	}
	version, length := binary.LittleEndian.Uint32(m.bytes[8:]), binary.LittleEndian.Uint32(m.bytes[12:])
	if string(m.bytes[:8]) != journalMagic || version != journalV1 && version != journalV2 || length > generationAt-noteAt {
		m.Close()
		return nil, nil, fmt.Errorf("open a memory of calls: not of this version")
	}
	binary.LittleEndian.PutUint32(m.bytes[8:], journalV2)
	return m, append([]byte(nil), m.bytes[noteAt:noteAt+length]...), nil
}

func mapJournal(file *os.File) (*Journal, error) {
	bytes, err := unix.Mmap(int(file.Fd()), 0, journalSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		_ = file.Close()
		return nil, os.NewSyscallError("mmap", err)
	}
	return &Journal{file: file, bytes: bytes}, nil
}

// File is the descriptor to keep; it stays the Journal's.
func (m *Journal) File() *os.File { return m.file }

// Close forgets everything. Precondition: its listener is served no more.
func (m *Journal) Close() {
	_ = unix.Munmap(m.bytes)
	_ = m.file.Close()
}

// Remains are the calls that a dead supervisor had received.
type Remains struct {
	Unserved  int // nothing had been sent: they are served again
	Sent      int // answered with the result that was noted
	Unknown   int // the signal may be out or not: answered as if it were, and not sent again
	Delegated int // another process has the caller, and carries the call out
}

// Remember has calls received into m from now on, and takes care of what m holds.
// Precondition: nobody serves this listener, but for workers of a supervisor that gave it up and
// are stuck with a call: what they have is taken from them, or was sent.
func (l *Listener) Remember(m *Journal) (r Remains) {
	if receiveAt+l.size > rewriteAt { // a kernel of the future, with longer notifications
		return r
	}
	l.journal = m
	l.delegated.set(m.takeOver(&r, l.fd))
	return r
}

// takeOver makes every slot its own and finishes what was begun. It returns those that
// another process has.
func (m *Journal) takeOver(r *Remains, listener int) (delegated []*slot) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.generation = atomic.AddUint32(sys.WordAt(m.bytes[generationAt:]), 1)
	m.free, m.left = nil, nil
	for i := range min(atomic.LoadUint32(m.used()), slotCount) { // the pages of the others do not exist
		s := m.slot(i)
		id := binary.LittleEndian.Uint64(s.bytes[receiveAt:])
		switch s.seize() {
		case slotOpen:
			if id == 0 {
				break
			}
			m.left = append(m.left, s)
			r.Unserved++
			continue
		case slotDelegated:
			delegated = append(delegated, s)
			r.Delegated++
			continue
		case slotSending:
			_ = sys.SeccompNotifSend(listener, &sys.SeccompNotifResp{ID: id})
			r.Unknown++
		case slotSent:
			_ = sys.SeccompNotifSend(listener, s.answer(id))
			r.Sent++
		}
		atomic.StoreUint32(s.state(), slotFree)
		m.free = append(m.free, s)
	}
	return delegated
}

// take finds a free slot; nil where all are in use: such a call is lost with the
// supervisor.
func (m *Journal) take() *slot {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := len(m.free); n > 0 {
		s := m.free[n-1]
		m.free = m.free[:n-1]
		return s
	}
	used := atomic.LoadUint32(m.used())
	if used >= slotCount {
		return nil
	}
	atomic.StoreUint32(m.used(), used+1)
	return m.slot(used)
}

func (m *Journal) used() *uint32 { return sys.WordAt(m.bytes[usedAt:]) }

func (m *Journal) slot(i uint32) *slot {
	return &slot{m, m.bytes[slotsAt+i*slotSize:][:slotSize], m.generation}
}

// leftover is a call that a dead supervisor had received and nobody has served.
func (m *Journal) leftover() *slot {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.left) == 0 {
		return nil
	}
	s := m.left[0]
	m.left = m.left[1:]
	return s
}

// leave puts a call among the leftovers that another process had and has let go of.
func (m *Journal) leave(s *slot) {
	if !s.move(slotDelegated, slotOpen) {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.left = append(m.left, s)
}

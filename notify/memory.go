package notify

import (
	"encoding/binary"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/shim"
)

// Memory is where a listener's calls are received into: a memfd that outlives the process
// if somebody keeps a descriptor of it beside the listener's. A notification can be
// received once only, so a supervisor that dies would leave its callers waiting for
// ever; its successor finds them here. Beside each call stands how far it has come.
//
// A note of whoever made it goes in front. Its layout, little-endian:
//
//	0     magic, version uint32; length of the note uint32; the note
//	4088  how many slots have ever been used uint32
//	4096  slots of 256 bytes: state, errno uint32; value int64; tid of who carries the call
//	      out uint32; at 64 the notification; at 200 the call that it is given: number and six
//	      arguments uint64
type Memory struct {
	file  *os.File
	bytes []byte

	mu   sync.Mutex // guards below
	free []*slot
	left []*slot // of a dead supervisor: to be served first
}

const (
	memoryMagic = "pidfdshm"
	memoryV1    = 1
	noteAt      = 16
	usedAt      = 4088
	slotsAt     = 4096
	slotSize    = 256
	slotCount   = 1024
	memorySize  = slotsAt + slotCount*slotSize
	handedAt    = 16 // in a slot
	receiveAt   = 64
	rewriteAt   = 200
)

// The states of a slot.
const (
	slotFree    = iota
	slotOpen    // a call is received here, or being decided: nothing has been sent
	slotSending // the signal may or may not be out
	slotSent    // it is out: errno and value are the answer
)

// NewMemory makes an empty one.
func NewMemory(note []byte) (*Memory, error) {
	if len(note) > usedAt-noteAt {
		return nil, fmt.Errorf("make a memory of calls: a note of %d bytes, at most %d fit", len(note), usedAt-noteAt)
	}
	fd, err := unix.MemfdCreate("pidfd-shim calls", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	file := os.NewFile(uintptr(fd), "calls")
	err = unix.Ftruncate(fd, memorySize)
	if err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL)
	}
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("make a memory of calls: %w", err)
	}
	m, err := mapMemory(file)
	if err != nil {
		return nil, err
	}
	copy(m.bytes, memoryMagic)
	binary.LittleEndian.PutUint32(m.bytes[8:], memoryV1)
	binary.LittleEndian.PutUint32(m.bytes[12:], uint32(len(note)))
	copy(m.bytes[noteAt:], note)
	return m, nil
}

// OpenMemory takes over what a supervisor before this one has left. It takes ownership
// of the file, also where it refuses it.
func OpenMemory(file *os.File) (m *Memory, note []byte, err error) {
	info, err := file.Stat()
	if err == nil && info.Size() != memorySize {
		err = fmt.Errorf("%d bytes, not %d", info.Size(), memorySize)
	}
	if err != nil {
		_ = file.Close()
		return nil, nil, fmt.Errorf("open a memory of calls: %w", err)
	}
	if m, err = mapMemory(file); err != nil {
		return nil, nil, err
	}
	length := binary.LittleEndian.Uint32(m.bytes[12:])
	if string(m.bytes[:8]) != memoryMagic || binary.LittleEndian.Uint32(m.bytes[8:]) != memoryV1 || length > usedAt-noteAt {
		m.Close()
		return nil, nil, fmt.Errorf("open a memory of calls: not of this version")
	}
	return m, append([]byte(nil), m.bytes[noteAt:noteAt+length]...), nil
}

func mapMemory(file *os.File) (*Memory, error) {
	bytes, err := unix.Mmap(int(file.Fd()), 0, memorySize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		_ = file.Close()
		return nil, os.NewSyscallError("mmap", err)
	}
	return &Memory{file: file, bytes: bytes}, nil
}

// File is the descriptor to keep; it stays the Memory's.
func (m *Memory) File() *os.File { return m.file }

// Close forgets everything. Precondition: its listener is served no more.
func (m *Memory) Close() {
	_ = unix.Munmap(m.bytes)
	_ = m.file.Close()
}

// Remains are the calls that a dead supervisor had received.
type Remains struct {
	Unserved int // nothing had been sent: they are served again
	Sent     int // answered with the result that was noted
	Unknown  int // the signal may be out or not: answered as if it were, and not sent again
	Handed   int // another process has the caller, and carries the call out
}

// Remember has calls received into m from now on, and takes care of what m holds.
// Precondition: nobody serves this listener.
func (l *Listener) Remember(m *Memory) (r Remains) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if receiveAt+l.size > rewriteAt { // a kernel of the future, with longer notifications
		return r
	}
	l.memory, m.free, m.left = m, nil, nil
	l.handed.clear()
	for i := range min(atomic.LoadUint32(m.used()), slotCount) { // the pages of the others do not exist
		s := m.slot(i)
		state := atomic.LoadUint32(s.state())
		id := binary.LittleEndian.Uint64(s.bytes[receiveAt:])
		switch {
		case state == slotOpen && id != 0 && s.handedTo() != 0:
			l.handed.add(s)
			r.Handed++
			continue
		case state == slotOpen && id != 0:
			m.left = append(m.left, s)
			r.Unserved++
			continue
		case state == slotSending:
			_ = send(l.fd, &seccompNotifResp{id: id})
			r.Unknown++
		case state == slotSent:
			_ = send(l.fd, s.answer(id))
			r.Sent++
		}
		atomic.StoreUint32(s.state(), slotFree)
		m.free = append(m.free, s)
	}
	return r
}

// slot has one call. It implements shim.Mark.
type slot struct {
	memory *Memory
	bytes  []byte
}

var _ shim.Mark = (*slot)(nil)

func (s *slot) state() *uint32 { return wordAt(s.bytes) }

// received is where the kernel writes.
func (s *slot) received(size int) []byte { return s.bytes[receiveAt : receiveAt+size] }

// Sending implements shim.Mark.
func (s *slot) Sending() { atomic.StoreUint32(s.state(), slotSending) }

// Decided implements shim.Mark: only what has been sent must not be decided again.
func (s *slot) Decided(v shim.Verdict) {
	if atomic.LoadUint32(s.state()) != slotSending {
		return
	}
	binary.LittleEndian.PutUint32(s.bytes[4:], uint32(v.Errno))
	binary.LittleEndian.PutUint64(s.bytes[8:], uint64(v.Value))
	atomic.StoreUint32(s.state(), slotSent)
}

// HandedTo implements shim.Mark.
func (s *slot) HandedTo(tracer int32, call shim.Rewrite) {
	binary.LittleEndian.PutUint64(s.bytes[rewriteAt:], call.Nr)
	for i, arg := range call.Args {
		binary.LittleEndian.PutUint64(s.bytes[rewriteAt+8*(i+1):], arg)
	}
	atomic.StoreUint32(wordAt(s.bytes[handedAt:]), uint32(tracer))
}

func (s *slot) handedTo() int32 { return int32(atomic.LoadUint32(wordAt(s.bytes[handedAt:]))) }

func (s *slot) rewrite() (call shim.Rewrite) {
	call.Nr = binary.LittleEndian.Uint64(s.bytes[rewriteAt:])
	for i := range call.Args {
		call.Args[i] = binary.LittleEndian.Uint64(s.bytes[rewriteAt+8*(i+1):])
	}
	return call
}

func (s *slot) answer(id uint64) *seccompNotifResp {
	return &seccompNotifResp{
		id: id, val: int64(binary.LittleEndian.Uint64(s.bytes[8:])), negErr: -int32(binary.LittleEndian.Uint32(s.bytes[4:])),
	}
}

// Done implements shim.Mark.
func (s *slot) Done() {
	atomic.StoreUint32(s.state(), slotFree)
	s.memory.mu.Lock()
	defer s.memory.mu.Unlock()
	s.memory.free = append(s.memory.free, s)
}

// open makes the slot ready to be received into.
func (s *slot) open(size int) {
	clear(s.received(size))
	atomic.StoreUint32(wordAt(s.bytes[handedAt:]), 0)
	atomic.StoreUint32(s.state(), slotOpen)
}

// take finds a free slot; nil where all are in use: such a call is lost with the
// supervisor.
func (m *Memory) take() *slot {
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

func (m *Memory) used() *uint32 { return wordAt(m.bytes[usedAt:]) }

func (m *Memory) slot(i uint32) *slot {
	return &slot{m, m.bytes[slotsAt+i*slotSize:][:slotSize]}
}

// leftover is a call that a dead supervisor had received and nobody has served.
func (m *Memory) leftover() *slot {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.left) == 0 {
		return nil
	}
	s := m.left[0]
	m.left = m.left[1:]
	return s
}

// leave puts a call among the leftovers.
func (m *Memory) leave(s *slot) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.left = append(m.left, s)
}

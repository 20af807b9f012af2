package shim

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Shared is a Backend whose calls are waited for along with those of others.
type Shared interface {
	Backend

	// Descriptor can be read when there is a call: Next then does not wait. It hangs up
	// after the last caller. -1: Next has to be asked.
	Descriptor() int
}

// Heir is a Backend that a supervisor before this one may have left calls.
type Heir interface {
	// Left finds one of them. Where there is none, it says after how long there may be one:
	// 0 is never.
	Left(c *Call) (found bool, again time.Duration)
}

// ErrStopped says that calls are not served any more although their callers live.
var ErrStopped = errors.New("told to stop")

// errClosed ends the receivers with their pool.
var errClosed = errors.New("closed")

// shared waits for the calls of many backends at once. Each wakes one receiver alone
// (EPOLLONESHOT), which takes one call and has the backend looked at again before it does
// anything else.
type shared struct {
	source   source
	received bool // somebody receives, or will; guarded by the pool's mu

	mu    sync.Mutex // guards below
	epoll int        // -1: none yet
	last  int32
	by    map[int32]*Supervisor
}

const awaited = unix.EPOLLIN | unix.EPOLLONESHOT

// add has a supervisor's calls received.
func (h *shared) add(s *Supervisor, fd int) (err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.epoll < 0 {
		if h.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
			return os.NewSyscallError("epoll_create1", err)
		}
		h.by = map[int32]*Supervisor{}
	}
	h.last++
	s.fd = fd
	s.key.Store(h.last)
	h.by[h.last] = s
	event := unix.EpollEvent{Events: awaited, Fd: s.key.Load()}
	if err = unix.EpollCtl(h.epoll, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
		delete(h.by, s.key.Load())
		s.key.Store(0)
		return os.NewSyscallError("epoll_ctl(EPOLL_CTL_ADD)", err)
	}
	return nil
}

// remove has no more calls received: who is at one goes on with it.
func (h *shared) remove(s *Supervisor) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.key.Load() != 0 {
		delete(h.by, s.key.Load())
		_ = unix.EpollCtl(h.epoll, unix.EPOLL_CTL_DEL, s.fd, nil) // others may keep the file open
		s.key.Store(0)
	}
}

func (h *shared) close() {
	if h.epoll >= 0 {
		_ = unix.Close(h.epoll)
	}
}

// next waits for a call of anybody, whose supervisor it then counts at; nil: it came to
// nothing.
func (h *shared) next(c *Call) (*Supervisor, error) {
	var events [1]unix.EpollEvent
	n, err := unix.EpollWait(h.epoll, events[:], -1)
	switch {
	case errors.Is(err, unix.EINTR), err == nil && n == 0:
		return nil, nil
	case err != nil:
		return nil, errClosed
	}
	h.mu.Lock()
	s := h.by[events[0].Fd]
	if s != nil {
		s.taking.Add(1)
	}
	h.mu.Unlock()
	if s == nil {
		return nil, nil
	}
	if received, err := h.take(s, events[0].Events, c); !received {
		s.taken()
		if err != nil {
			s.finish(err)
		}
		return nil, nil
	}
	return s, nil
}

// take receives one call, if there is one, and has the backend waited for again.
func (h *shared) take(s *Supervisor, events uint32, c *Call) (received bool, err error) {
	err = ErrGone // a signal came while the kernel looked: EPOLLERR
	switch {
	case events&unix.EPOLLIN != 0:
		err = s.Backend.Next(c)
	case events&unix.EPOLLHUP != 0:
		err = io.EOF
	}
	switch {
	case errors.Is(err, io.EOF):
		s.finish(nil)
		return false, nil
	case err != nil && !errors.Is(err, ErrGone):
		return false, fmt.Errorf("receive a call: %w", err)
	}
	received = err == nil
	h.mu.Lock()
	defer h.mu.Unlock()
	if s.key.Load() == 0 { // removed meanwhile
		return received, nil
	}
	event := unix.EpollEvent{Events: awaited, Fd: s.key.Load()}
	err = unix.EpollCtl(h.epoll, unix.EPOLL_CTL_MOD, s.fd, &event)
	return received, os.NewSyscallError("epoll_ctl(EPOLL_CTL_MOD)", err)
}

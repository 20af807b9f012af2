package shim

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
)

// Handler decides one call: Resolve, Decide, Send. It may act on the target but
// never answers the caller.
type Handler func(*Call) Verdict

// Handlers is the table of one worker: a system call without an entry gets ENOSYS.
type Handlers [arch.SyscallCount]Handler

// Number is a system call by its number in one ABI, as that ABI's table has it: x32's
// without its mark.
type Number struct {
	ABI arch.ABI
	Nr  uint32
}

// Supervisor takes calls from a backend, one after the other, to their answers.
type Supervisor struct {
	Backend Backend

	// Handlers makes the handlers of one worker. Each worker has its own, so that
	// what they cache needs no lock.
	Handlers func() *Handlers

	// Others are handlers of calls that have no place in Handlers. They may be called by
	// several workers at once.
	Others map[Number]Handler

	// Observe, if not nil, sees each call before it is answered while the caller
	// still waits, so that facts can be gathered, and again afterwards.
	Observe Observer

	// Results says that the observer wants to know what calls return that callers carry out.
	Results bool

	// Alone says that the worker cannot be replaced: its backend belongs to one thread.
	Alone bool

	// Watchdog, if not nil, looks after this supervisor among others; else it has its own.
	Watchdog *Watchdog

	Log *slog.Logger

	lanes lanes
}

// Observer watches calls: for trace, audit and counters.
type Observer interface {
	Before(c *Call, v Verdict)
	After(c *Call, v Verdict, answered error)
}

// Witness is an Observer that also looks at the target right before the signal goes
// out: afterwards the target may be gone. Handlers tell it by Call.Sending.
type Witness interface {
	Sending(c *Call)
}

// Serve runs the loop until the last supervised task has ended.
func (s *Supervisor) Serve() error {
	s.lanes.init()
	s.startWorker() // before the watch, which looks at it
	if s.Watchdog == nil {
		s.Watchdog = &Watchdog{}
	}
	s.Watchdog.add(s)
	defer s.Watchdog.remove(s)
	err := <-s.lanes.done
	s.lanes.close()
	return err
}

// Join returns when nothing of the supervisor runs any more: until then its backend
// must stay. Precondition: Serve has returned, and every caller has ended; one that has
// not may hold a worker in its memory for ever.
func (s *Supervisor) Join() { s.lanes.loops.Wait() }

// JoinFor is Join that gives up: a caller that lives may hold a worker for ever.
func (s *Supervisor) JoinFor(patience time.Duration) {
	ended := make(chan struct{})
	go func() {
		s.Join()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(patience):
	}
}

// work is the loop of one worker. The thread is locked: it may be replaced while it
// is stuck in a read, and then must not hold up the scheduler's other work.
func (s *Supervisor) work(w *Worker) {
	w.begin()
	defer w.end()
	handlers := s.Handlers()
	var c Call
	for !w.Replaced() {
		err := s.Backend.Next(&c)
		switch {
		case err == nil:
		case errors.Is(err, ErrGone):
			continue
		case errors.Is(err, io.EOF):
			s.lanes.finish(nil)
			return
		case err != nil:
			s.lanes.finish(fmt.Errorf("receive a call: %w", err))
			return
		}
		c.Slow, c.Received, c.worker = false, 0, w
		c.forget()
		s.serveOne(&c, handlers)
	}
}

// serveOne is one call's way: Decode, the handler's Resolve, Decide and Send, Answer. It
// returns false if the call has to be tried again.
func (s *Supervisor) serveOne(c *Call, handlers *Handlers) bool {
	if s.Observe != nil && c.Received == 0 {
		c.Received = Monotonic()
	}
	c.witness, _ = s.Observe.(Witness)
	v := Fail(unix.ENOSYS)
	if handle := s.handler(c, handlers); handle != nil {
		v = handle(c)
	}
	c.Committed(v)
	switch v.Kind {
	case KindGone:
		c.Finished()
		if c.After != nil {
			c.After(c.worker)
		}
		return true
	case KindLater:
		if p, ok := s.Backend.(Postponer); ok && !c.Slow {
			p.Postponed(c)
		}
		s.postpone(c)
		c.Mark = nil // the copy's
		return false
	}
	s.answer(c, v)
	return true
}

// handler is nil for a call that nobody answers.
func (s *Supervisor) handler(c *Call, handlers *Handlers) Handler {
	what := c.Decode()
	if what == arch.NoSyscall {
		return s.Others[Number{c.ABI, c.Nr}]
	}
	return handlers[what]
}

// answer is the only place where a call ends.
func (s *Supervisor) answer(c *Call, v Verdict) {
	if s.Observe != nil {
		s.Observe.Before(c, v)
	}
	c.Report = nil
	if s.Results {
		c.Report = s.Observe.After
	}
	err := s.Backend.Answer(c, v)
	c.Finished()
	if c.Settled != nil {
		c.Settled(c, v, err)
	}
	if s.Observe != nil && (!s.Results || c.Report != nil) {
		s.Observe.After(c, v, err)
	}
	if err != nil && !errors.Is(err, ErrGone) {
		s.Log.Error("answer", "tid", c.Tid, "verdict", v, "error", err)
	}
	if c.After != nil {
		c.After(c.worker)
	}
}

// Monotonic is a clock in ns that nobody sets, read without a system call.
func Monotonic() int64 { return int64(time.Since(epoch)) }

var epoch = time.Now()

// tick is how often the watch looks for stuck workers: the longest that one caller
// whose memory does not answer can delay another.
const tick = 50 * time.Millisecond

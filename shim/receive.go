package shim

import (
	"errors"
	"fmt"
	"io"
	"slices"
)

// source is where calls are received from: one backend, or all of a pool that are shared.
type source struct {
	pool *Pool
	of   *Supervisor // nil: shared
}

// receive takes calls and serves them, until another worker has this one's place or nobody is
// left to call.
//
// A call's wait can be ended by a signal until it has been received (kernel/seccomp.c,
// seccomp_do_user_notification), and the caller is then told EINTR.
func (f *source) receive(w *Worker) {
	w.receives.Store(f)
	defer w.putHandlers()
	for w.receives.Load() == f || f.takeBack(w) {
		if f.of != nil && f.of.ended.Load() {
			return
		}
		s, err := f.next(&w.call)
		switch {
		case s == nil && err == nil, errors.Is(err, ErrGone):
			continue
		case errors.Is(err, io.EOF):
			f.of.finish(nil)
			return
		case errors.Is(err, errClosed):
			return
		case err != nil:
			f.of.finish(fmt.Errorf("receive a call: %w", err))
			return
		}
		w.call.begin()
		s.serve(w, &w.call)
		if f.of == nil {
			s.taken()
			w.putHandlers()
		}
	}
}

func (f *source) next(c *Call) (*Supervisor, error) {
	if f.of == nil {
		return f.pool.shared.next(c)
	}
	return f.of, f.of.Backend.Next(c)
}

// HandOff has another worker receive the calls to come, so that this one may take the time it
// needs with what it has. Not where a caller's wait can be ended after its signal was sent, and
// nobody else's calls are received here: its call comes again at once then, and must find what
// became of the first. The watch does so all the same where that takes too long.
func (w *Worker) HandOff() {
	if w == nil {
		return
	}
	if f := w.receives.Load(); f != nil && (f.of == nil || !f.of.Restarts) {
		w.giveAway()
	}
}

// giveAway is HandOff, whatever is lost by it.
func (w *Worker) giveAway() {
	if w.receives.Load() == nil || w.of.Load().Alone {
		return
	}
	w.of.Load().settling.mark(w) // before anybody can receive what its caller does next
	f := w.receives.Swap(nil)
	if f == nil {
		return
	}
	p := f.pool
	p.mu.Lock()
	defer p.unlock()
	p.toReceive = append(p.toReceive, f)
	p.wakeOne()
}

// takeBack is the end of HandOff where nobody has come to receive yet.
func (f *source) takeBack(w *Worker) bool {
	p := f.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.Index(p.toReceive, f)
	if i < 0 {
		return false
	}
	p.toReceive = slices.Delete(p.toReceive, i, i+1)
	w.receives.Store(f)
	return true
}

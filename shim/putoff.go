package shim

import "time"

// A call that is put off needs something that does not answer: memory that a process which can
// be killed reads with a deadline. One of a supervisor is tried at a time, those first that
// have not been tried; after one that still is not ready its supervisor's others rest a little,
// so that they cost the machine nothing. A fresh one ends the rest.
type putOff struct {
	fresh, stuck fifo
	trying       bool
	resting      bool
}

// tick is how often the watch looks for workers that are held up, and how long what was put
// off rests: the longest that one caller whose memory does not answer can delay another.
const tick = 50 * time.Millisecond

// mostTries is how many workers may be at calls that were put off: each such try ends in time,
// but not soon.
const mostTries = 2

func (o *putOff) ready(p *Pool) bool {
	return !o.trying && p.trying < mostTries && (o.fresh.len() > 0 || o.stuck.len() > 0 && !o.resting)
}

// postpone keeps a copy of the call to be tried again.
func (s *Supervisor) postpone(c *Call) {
	s.Pool.mu.Lock()
	defer s.Pool.unlock()
	if !c.Slow {
		s.off.fresh.push(c)
		s.off.resting = false
		s.Pool.list(s)
		return
	}
	s.off.stuck.push(c)
	if s.off.fresh.len() == 0 {
		s.off.resting = true
		time.AfterFunc(s.pause, s.endRest)
	}
}

func (s *Supervisor) endRest() {
	s.Pool.mu.Lock()
	defer s.Pool.unlock()
	s.off.resting = false
	s.Pool.list(s)
}

// tryAgain is for when one more call may wait (Worker.Full).
func (s *Supervisor) tryAgain() {
	s.refused.Store(false)
	s.endRest()
}

// fifo is a queue of calls that keeps the room it once needed.
type fifo struct {
	calls []Call
	head  int
}

func (q *fifo) len() int { return len(q.calls) - q.head }

// push keeps a copy. The buffer that a call was received into is not the copy's, unless its
// mark is in the same place; nobody reads it any more.
func (q *fifo) push(c *Call) {
	if 2*q.head > len(q.calls) {
		q.calls, q.head = append(q.calls[:0], q.calls[q.head:]...), 0
	}
	q.calls = append(q.calls, *c)
	q.calls[len(q.calls)-1].Buffer = nil
}

func (q *fifo) pop(into *Call) {
	*into = q.calls[q.head]
	q.calls[q.head] = Call{}
	q.head++
}

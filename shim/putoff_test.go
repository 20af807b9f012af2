package shim_test

import (
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pidfd-shim/pidfd-shim/shim"
)

// stuckReader handles call 1 as a read of memory that answers only when released.
func stuckReader(entered chan<- *shim.Worker, release <-chan struct{}) shim.Handler {
	return func(c *shim.Call) shim.Verdict {
		if c.ID == 1 {
			c.Worker().Enter()
			entered <- c.Worker()
			<-release
			c.Worker().Leave()
		}
		return byID(c)
	}
}

// One caller whose memory does not answer holds up nobody else, is suspected, and answered
// when it does.
func TestStuckWorkerHoldsUpNobody(t *testing.T) {
	entered, release := make(chan *shim.Worker, 1), make(chan struct{})
	r := serve(t, stuckReader(entered, release))
	r.call(1, 2)
	receive(t, "the read", entered)
	r.expect(2, shim.Return(2))
	for end := time.Now().Add(deadline); !r.Suspicious(); runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatal("not suspicious after a read that did not answer")
		}
	}
	for id := range uint64(200) {
		r.call(100 + id)
		r.expect(100+id, shim.Return(int64(100+id)))
	}
	close(release)
	r.expect(1, shim.Return(1))
	if err := r.end(); err != nil {
		t.Error(err)
	}
	if r.timesAnswered(1) != 1 {
		t.Errorf("call 1 was answered %d times", r.timesAnswered(1))
	}
}

// A worker that has answered a call that was put off, and has yet to let go of its caller, does not
// keep the next one that was put off from being tried: that may be this caller's.
func TestTryEndsWithItsAnswer(t *testing.T) {
	letGo := make(chan struct{})
	r := serve(t, func(c *shim.Call) shim.Verdict {
		if !c.Slow {
			return shim.Later()
		}
		v := byID(c)
		if c.ID == 1 {
			v.Release = release(func(*shim.Worker) { <-letGo })
		}
		return v
	})
	r.call(1)
	r.expect(1, shim.Return(1))
	r.call(2)
	r.expect(2, shim.Return(2))
	close(letGo)
	if err := r.end(); err != nil {
		t.Error(err)
	}
}

// However many calls there are that may take for ever, only some of them may, and the others
// are served meanwhile. No thread is started for any of it.
func TestCallsThatMayWaitAreBounded(t *testing.T) {
	const hostile = 100
	held, release := make(chan uint64, hostile), make(chan struct{})
	refused := make(chan uint64, hostile)
	r := serve(t, func(c *shim.Call) shim.Verdict {
		switch {
		case c.ID >= hostile:
		case c.Worker().Crowded():
			refused <- c.ID
		default:
			held <- c.ID
			<-release
		}
		return byID(c)
	})
	r.call(1000)
	r.expect(1000, shim.Return(1000))
	runtime.GC() // the pool's own comes at some time meanwhile (haveRoom), with threads of the runtime's
	before := threads(t)
	for id := range uint64(hostile) {
		r.call(id)
	}
	r.call(1001)
	for end := time.Now().Add(deadline); len(held)+len(refused) < hostile; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("%d held, %d refused of %d", len(held), len(refused), hostile)
		}
	}
	for range len(refused) + 1 {
		receive(t, "an answer", r.answers)
	}
	if len(held) == 0 {
		t.Error("none was held")
	}
	if after := threads(t); after > before+2 { // one of the runtime's own may come
		t.Errorf("%d threads before, %d after", before, after)
	}
	close(release)
	for range len(held) {
		receive(t, "an answer", r.answers)
	}
	r.end()
}

func threads(t *testing.T) int {
	t.Helper()
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	return len(tasks)
}

// A worker that waits outside of a read is no reason to suspect anybody.
func TestWaitingWorkerIsNotSuspected(t *testing.T) {
	hold, held := make(chan struct{}), make(chan struct{}, 2)
	r := serve(t, func(c *shim.Call) shim.Verdict {
		c.Worker().Enter()
		c.Worker().Leave()
		c.Worker().EnterWait()
		held <- struct{}{}
		<-hold
		c.Worker().Leave()
		return byID(c)
	})
	r.call(1, 2)
	receive(t, "the handler", held)
	receive(t, "the handler", held)
	receive(t, "four ticks", time.After(4*shim.Tick)) // that nothing happens has no event
	if r.Suspicious() {
		t.Error("suspicious of a worker outside of a read")
	}
	close(hold)
	receive(t, "an answer", r.answers)
	receive(t, "an answer", r.answers)
	r.end()
}

// Before a worker waits, another receives: for as many as may wait at once, calls that come
// meanwhile are served.
func TestAnotherReceivesMeanwhile(t *testing.T) {
	held, release := make(chan uint64, 100), make(chan struct{})
	r := serve(t, func(c *shim.Call) shim.Verdict {
		if c.ID < 100 && !c.Worker().Crowded() {
			c.Worker().EnterWait()
			held <- c.ID
			<-release
			c.Worker().Leave()
		}
		return byID(c)
	})
	waiting := 0
	for id := range uint64(50) {
		r.call(id)
		select {
		case <-held:
			waiting++
		case got := <-r.answers:
			if got.id != id {
				t.Errorf("call %d was answered, want %d", got.id, id)
			}
		case <-time.After(deadline):
			t.Fatalf("call %d is not received", id)
		}
		r.call(100 + id)
		r.expect(100+id, shim.Return(int64(100+id)))
	}
	if waiting < 3 {
		t.Errorf("%d calls may wait at once", waiting)
	}
	close(release)
	for range waiting {
		receive(t, "an answer", r.answers)
	}
	if err := r.end(); err != nil {
		t.Error(err)
	}
}

// A thread's next call is not served before it is known how the answer to its last one was
// received, by whomever.
func TestNextCallWaitsForSettled(t *testing.T) {
	settle := make(chan struct{})
	var settled atomic.Bool
	r := serve(t, func(c *shim.Call) shim.Verdict {
		v := byID(c)
		if c.ID == 1 {
			v.Settler = settler(func(*shim.Call, shim.Verdict, error) {
				<-settle
				settled.Store(true)
			})
		} else if c.Tid == 1 && !settled.Load() {
			t.Error("the second call of a thread was served before the first had been settled")
		}
		return v
	}, func(s *shim.Supervisor) { s.Restarts = true })
	r.call(1)
	r.expect(1, shim.Return(1))
	r.arrivals <- arrival{id: 2, tid: 1}
	r.call(3) // of another thread: it does not wait
	r.expect(3, shim.Return(3))
	close(settle)
	r.expect(2, shim.Return(2))
	r.end()
}

// slowLane handles calls that nothing but the slow lane can answer, but for those from
// 100 on.
type slowLane struct {
	*running
	tried  chan uint64
	answer chan bool // whether the call that was tried is ready
}

func serveSlowly(t *testing.T, change ...func(*shim.Supervisor)) slowLane {
	t.Helper()
	l := slowLane{tried: make(chan uint64), answer: make(chan bool)}
	l.running = serve(t, func(c *shim.Call) shim.Verdict {
		switch {
		case c.ID >= 100:
			return byID(c)
		case !c.Slow:
			return shim.Later()
		}
		l.tried <- c.ID
		if !<-l.answer {
			return shim.Later()
		}
		return byID(c)
	}, change...)
	return l
}

// expectTry waits for a try, which then lasts until finish.
func (l slowLane) expectTry(id uint64) {
	l.t.Helper()
	if got := receive(l.t, "a try", l.tried); got != id {
		l.t.Errorf("the slow lane tried call %d, want %d", got, id)
	}
}

func (l slowLane) finish(id uint64, ready bool) {
	l.t.Helper()
	l.answer <- ready
	if ready {
		l.expect(id, shim.Return(int64(id)))
	}
}

func (l slowLane) try(id uint64, ready bool) {
	l.t.Helper()
	l.expectTry(id)
	l.finish(id, ready)
}

// queue makes calls that have been put off when it returns, in this order. Precondition: one
// that was put off is being tried.
func (l slowLane) queue(ids ...uint64) {
	l.t.Helper()
	for _, id := range ids {
		before := l.PutOff()
		l.call(id)
		for end := time.Now().Add(deadline); l.PutOff() == before; runtime.Gosched() {
			if time.Now().After(end) {
				l.t.Fatalf("call %d was not put off", id)
			}
		}
	}
}

// Calls that have not been tried come first, then the others in turn; a call that the
// fast lane can answer waits for none of them.
func TestSlowLane(t *testing.T) {
	l := serveSlowly(t)
	l.call(1)
	l.expectTry(1)
	l.queue(2, 3)
	l.finish(1, false)
	l.try(2, false)
	l.try(3, true)
	l.try(1, false)
	l.expectTry(2)
	l.queue(4)
	l.finish(2, false)
	l.try(4, true) // before 1, which has been tried
	l.try(1, true)
	l.try(2, true)
	if err := l.end(); err != nil {
		t.Error(err)
	}
}

// The rest that the lane takes between stuck calls ends when a fresh one comes: this one
// would end by itself in an hour.
func TestFreshCallEndsTheRest(t *testing.T) {
	l := serveSlowly(t, func(s *shim.Supervisor) { s.SetPause(time.Hour) })
	l.call(1)
	for id := uint64(2); id < 12; id++ {
		l.try(1, false)
		l.call(id)
		l.try(id, true)
	}
	l.try(1, true)
	l.end()
}

// A call whose caller left is not tried again, and no answer goes to it.
func TestSlowLaneForgetsCallersThatLeft(t *testing.T) {
	l := serveSlowly(t)
	l.call(1)
	l.expectTry(1)
	l.queue(2, 3)
	l.leave(2)
	l.finish(1, true)
	l.try(3, true)
	if err := l.end(); err != nil {
		t.Error(err)
	}
	if l.timesAnswered(2) != 0 {
		t.Error("a caller that left was answered")
	}
}

// A try that came to nothing leaves no trace in the next, but for when the call came.
func TestSlowLaneStartsAfresh(t *testing.T) {
	o := &recorder{answers: func() int { return 0 }}
	first, second := make(chan shim.Call, 1), make(chan shim.Call, 1)
	r := serve(t, func(c *shim.Call) shim.Verdict {
		if !c.Slow {
			first <- *c
			c.Record.Rule = "left over"
			v := shim.Later()
			v.Settler = settler(func(*shim.Call, shim.Verdict, error) { t.Error("the first try's Settled was told") })
			return v
		}
		second <- *c
		return byID(c)
	}, func(s *shim.Supervisor) { s.Observe = o })
	r.call(1)
	r.expect(1, shim.Return(1))
	a, b := receive(t, "the first try", first), receive(t, "the second", second)
	if b.Record != (shim.Record{}) || b.Worker() == nil {
		t.Errorf("the second try got %+v", b)
	}
	if a.Received == 0 || a.Received != b.Received || a.Frame != b.Frame || a.Tid != b.Tid {
		t.Errorf("first try %+v, second %+v", a, b)
	}
	r.end()
}

// Serve ends although calls are queued that nobody waits for any more.
func TestServeEndsWithStuckCalls(t *testing.T) {
	tried := make(chan struct{}, 1000)
	r := serve(t, func(*shim.Call) shim.Verdict {
		select {
		case tried <- struct{}{}:
		default:
		}
		return shim.Later()
	})
	r.call(1, 2, 3)
	for range 5 {
		receive(t, "a try", tried)
	}
	if err := r.end(); err != nil {
		t.Error(err)
	}
	if got := r.timesAnswered(1) + r.timesAnswered(2) + r.timesAnswered(3); got != 0 {
		t.Errorf("%d answers to calls that were never decided", got)
	}
}

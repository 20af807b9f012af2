package shim

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Pool are the threads that serve calls, of one supervisor or of many. All are started
// beforehand: who is served can use up every thread and process there is, and a program in Go
// that needs one more aborts.
//
// One receives, the others wait for work. Who has received a call serves it and receives again;
// before anything that can wait it has another take its place (Worker.HandOff), and the watch
// sees to that where it has not. So a caller is received soon, before a signal can end its
// wait, whatever is done for others; and there are not two in RECV, which would both be woken
// for each call.
type Pool struct {
	workers []*Worker
	sleep   [2]int // a pipe: who reads a byte of it has work

	waiting atomic.Int32 // calls that may take for ever: see MayWait
	stuck   atomic.Int32 // those of them that do

	shared shared

	mu        sync.Mutex // guards below
	served    map[*Supervisor]struct{}
	busy      []*Supervisor // that have work for whoever is free, in turns
	toReceive []*source     // wanted: a worker that receives from it
	trying    int           // calls that were put off and are being tried
	waiters   int           // workers that read the pipe, or are about to
	toWake    int           // of them, when mu is released: see unlock
	stopped   bool          // see Stop
	closed    bool
	looking   *sync.Cond // the watch: somebody is served
	room      *time.Timer
	ended     sync.WaitGroup
}

// Threads are how many a pool has.
type Threads struct {
	Workers int // at least leastWorkers
	Spare   int // that the Go runtime may come to need for everything else
}

// leastWorkers is one that receives, one that serves, and one for calls that were put off.
const leastWorkers = 3

// NewPool starts the threads. It returns when all run.
func NewPool(n Threads) (*Pool, error) {
	workers := max(n.Workers, leastWorkers)
	p := &Pool{served: map[*Supervisor]struct{}{}, room: haveRoom()}
	p.shared.epoll, p.looking = -1, sync.NewCond(&p.mu)
	p.shared.source.pool = p
	if err := unix.Pipe2(p.sleep[:], unix.O_CLOEXEC); err != nil {
		return nil, fmt.Errorf("start the threads that serve: %w", os.NewSyscallError("pipe2", err))
	}
	var running sync.WaitGroup
	running.Add(workers + n.Spare)
	for range workers {
		w := &Worker{pool: p}
		p.workers = append(p.workers, w)
		p.ended.Go(func() { p.work(w, running.Done) })
	}
	for range n.Spare {
		go spare(&running)
	}
	running.Wait()
	p.ended.Go(p.watch)
	return p, nil
}

// haveRoom has the heap grow beforehand, for the same reason as threads: what is freed stays
// mapped, and is taken again. It is not touched, and costs no memory. The collection that frees
// it costs as much as all the rest of a start: a program that ends at once is spared it.
func haveRoom() *time.Timer {
	runtime.KeepAlive(make([]byte, room))
	return time.AfterFunc(roomAfter, runtime.GC) // else the next comes when there is twice as much
}

// roomAfter is longer than a short command takes, and shorter than what eats up memory.
const roomAfter = 100 * time.Millisecond

// room is several times what a supervisor in a storm of calls has.
const room = 32 << 20

// spare has a thread started and leaves it to the runtime, which keeps it: each goroutine that
// is locked has one of its own, and all of them run before one ends.
func spare(running *sync.WaitGroup) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	running.Done()
	running.Wait()
}

// Close ends the threads, each after what it is at. Precondition: nobody is served.
func (p *Pool) Close() {
	p.mu.Lock()
	p.closed = true
	p.toWake, p.waiters = p.toWake+p.waiters, 0
	p.looking.Broadcast()
	p.unlock()
	p.ended.Wait()
	p.room.Stop()
	_ = unix.Close(p.sleep[0])
	_ = unix.Close(p.sleep[1])
	p.shared.close()
}

// add begins to serve a supervisor.
func (p *Pool) add(s *Supervisor) error {
	p.mu.Lock()
	defer p.unlock()
	if p.stopped {
		return ErrStopped
	}
	if b, ok := s.Backend.(Shared); ok && b.Descriptor() >= 0 {
		if err := p.shared.add(s, b.Descriptor()); err != nil {
			return err
		}
		s.source = &p.shared.source
	} else {
		s.source = &source{pool: p, of: s}
	}
	first := s.source.of != nil || !p.shared.received
	p.served[s] = struct{}{}
	p.looking.Broadcast()
	_, s.left = s.Backend.(Heir)
	p.list(s)
	if first {
		p.shared.received = s.source.of == nil
		p.toReceive = append(p.toReceive, s.source)
		p.wakeOne()
	}
	return nil
}

// remove is the end of add. What was received and not served is left to whoever comes next.
func (p *Pool) remove(s *Supervisor) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.served, s)
	s.off, s.left = putOff{}, false
}

// stopPatience is for calls that are being served when they are to be served no more.
const stopPatience = time.Second

// Stop ends every Serve with ErrStopped, after the calls that were received, and so those to
// come, until Resume.
func (p *Pool) Stop() {
	p.mu.Lock()
	p.stopped = true
	all := slices.Collect(maps.Keys(p.served))
	p.mu.Unlock()
	for _, s := range all {
		p.shared.remove(s)
	}
	deadline := time.Now().Add(stopPatience)
	for _, s := range all {
		s.joinUntil(deadline)
		s.finish(ErrStopped)
	}
}

// Resume lets supervisors serve again.
func (p *Pool) Resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = false
}

// work is a thread's life. It is locked to its goroutine, because tracees belong to the thread
// that seized them, and because a thread that a caller holds up is not to hold up others.
func (p *Pool) work(w *Worker, running func()) {
	runtime.LockOSThread()
	w.tid.Store(int32(unix.Gettid()))
	runSoon()
	running()
	c := &w.call
	for {
		switch s, from, what := p.take(c); what {
		case jobEnd:
			return
		case jobReceive:
			from.receive(w)
		case jobLeft:
			p.serveLeft(w, s, c)
			p.done(s)
		default:
			w.tries = s
			s.serve(w, c)
			p.endTry(w)
			p.done(s)
		}
		w.putHandlers()
	}
}

// job is what a worker takes.
type job uint8

const (
	jobNone    job = iota
	jobReceive     // take calls from a backend, or from all that are shared
	jobPutOff      // try one again that was put off
	jobLeft        // serve those that a supervisor before this one has left
	jobEnd
)

// take waits for something to do.
func (p *Pool) take(c *Call) (s *Supervisor, from *source, what job) {
	for {
		p.mu.Lock()
		switch {
		case len(p.toReceive) > 0:
			from, what = p.toReceive[0], jobReceive
			p.toReceive = append(p.toReceive[:0], p.toReceive[1:]...)
		case p.closed:
			what = jobEnd
		default:
			s, what = p.next(c)
		}
		if what == jobNone {
			p.waiters++
		}
		p.unlock()
		if what != jobNone {
			return s, from, what
		}
		var word [1]byte
		for {
			if _, err := unix.Read(p.sleep[0], word[:]); !errors.Is(err, unix.EINTR) {
				break
			}
		}
	}
}

// next finds work, of each supervisor in turn. Precondition: mu is held.
func (p *Pool) next(c *Call) (*Supervisor, job) {
	for len(p.busy) > 0 {
		s := p.busy[0]
		p.busy = append(p.busy[:0], p.busy[1:]...)
		s.listed = false
		if what := s.pick(c); what != jobNone {
			p.list(s)
			return s, what
		}
	}
	return nil, jobNone
}

// list says that a supervisor may have work. Precondition: mu is held.
func (p *Pool) list(s *Supervisor) {
	if !s.hasWork() {
		return
	}
	if !s.listed {
		s.listed = true
		p.busy = append(p.busy, s)
	}
	p.wakeOne()
}

// wakeOne has somebody look for work, from when mu is released. Precondition: mu is held.
func (p *Pool) wakeOne() {
	if p.waiters > 0 {
		p.waiters--
		p.toWake++
	}
}

// unlock releases mu and wakes whom that was wanted of. Not before: who is woken often runs at
// once in the place of who wakes it, and would find mu held. A locked goroutine that waits for a
// mutex comes back through two other threads (runtime/proc.go, stoplockedm, startlockedm).
func (p *Pool) unlock() {
	wake := p.toWake
	p.toWake = 0
	p.mu.Unlock()
	for range wake {
		_, _ = unix.Write(p.sleep[1], one[:])
	}
}

var one = [1]byte{1}

// done is the end of a job that take has given.
func (p *Pool) done(s *Supervisor) {
	p.mu.Lock()
	defer p.unlock()
	s.running--
	s.idle.Broadcast()
}

// endTry is when a call that was put off has its answer, or is put off again. Its worker may be
// at it for longer: to let go of a caller whose next call is put off, too, by then.
func (p *Pool) endTry(w *Worker) {
	s := w.tries
	if s == nil {
		return
	}
	w.tries = nil
	p.mu.Lock()
	defer p.unlock()
	s.off.trying = false
	p.trying--
	for other := range p.served { // who has waited for its turn
		p.list(other)
	}
}

// serveLeft serves what a supervisor before this one has left, and looks again later where
// more may come of it.
func (p *Pool) serveLeft(w *Worker, s *Supervisor, c *Call) {
	heir := s.Backend.(Heir)
	for {
		found, again := heir.Left(c)
		if found {
			c.begin()
			s.serve(w, c)
			continue
		}
		if again > 0 {
			time.AfterFunc(again, func() { p.lookForLeft(s) })
		}
		return
	}
}

func (p *Pool) lookForLeft(s *Supervisor) {
	p.mu.Lock()
	defer p.unlock()
	if _, ok := p.served[s]; ok {
		s.left = true
		p.list(s)
	}
}

package shim_test

import (
	"bytes"
	"cmp"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

const deadline = time.Minute

// fake is a backend whose calls are typed in by a test. It counts answers.
type fake struct {
	arrivals chan arrival // closed: the last caller has ended
	answers  chan answer

	mu     sync.Mutex
	gone   map[uint64]bool  // callers that no longer wait
	refuse map[uint64]error // what Answer returns
	counts map[uint64]int
}

// arrival is one return of Next: a call, or an error.
type arrival struct {
	id  uint64
	tid int32 // 0: the id
	err error
	// The frame, AMD64's pidfd_send_signal where it is zero.
	frame arch.Frame
}

type answer struct {
	id      uint64
	verdict shim.Verdict
}

func newFake() *fake {
	return &fake{
		arrivals: make(chan arrival, 1000),
		answers:  make(chan answer, 1000),
		gone:     map[uint64]bool{},
		refuse:   map[uint64]error{},
		counts:   map[uint64]int{},
	}
}

func (f *fake) Next(c *shim.Call) error {
	a, open := <-f.arrivals
	if !open {
		return io.EOF
	}
	if a.frame == (arch.Frame{}) {
		a.frame = arch.Frame{Arch: arch.AuditArchX86_64, Nr: 424}
	}
	c.ID, c.Tid, c.Frame = a.id, cmp.Or(a.tid, int32(a.id)), a.frame
	return a.err
}

func (f *fake) Blocked(c *shim.Call) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.gone[c.ID] {
		return shim.ErrGone
	}
	return nil
}

func (f *fake) Answer(c *shim.Call, v shim.Verdict) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.counts[c.ID]++
	v.Settler, v.Release = nil, nil // the loop's
	f.answers <- answer{c.ID, v}
	return f.refuse[c.ID]
}

func (f *fake) leave(id uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gone[id] = true
}

// timesAnswered tells how often a call has been answered.
func (f *fake) timesAnswered(id uint64) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.counts[id]
}

// running is a supervisor at work.
type running struct {
	*fake
	*shim.Supervisor
	t    *testing.T
	done chan error
	log  *lockedBuffer
}

// serve starts a supervisor whose pidfd_send_signal calls are handled by handle.
func serve(t *testing.T, handle shim.Handler, change ...func(*shim.Supervisor)) *running {
	t.Helper()
	r := &running{fake: newFake(), t: t, done: make(chan error, 1), log: &lockedBuffer{}}
	r.Supervisor = &shim.Supervisor{
		Backend: r.fake,
		Handlers: func() *shim.Handlers {
			return &shim.Handlers{arch.PidfdSendSignal: handle}
		},
		Log: slog.New(slog.NewTextHandler(r.log, nil)),
	}
	for _, f := range change {
		f(r.Supervisor)
	}
	go func() { r.done <- r.Serve() }()
	return r
}

// call lets a caller make a call.
func (r *running) call(ids ...uint64) {
	for _, id := range ids {
		r.arrivals <- arrival{id: id}
	}
}

// expect waits for an answer and checks that it is this one.
func (r *running) expect(id uint64, v shim.Verdict) {
	r.t.Helper()
	if got := receive(r.t, "an answer", r.answers); got != (answer{id, v}) {
		r.t.Errorf("call %d was answered %v, want call %d %v", got.id, got.verdict, id, v)
	}
}

// end ends the last caller and waits for Serve.
func (r *running) end() error {
	r.t.Helper()
	close(r.arrivals)
	return receive(r.t, "Serve's end", r.done)
}

func receive[T any](t *testing.T, what string, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(deadline):
		t.Fatalf("%s: nothing within %v", what, deadline)
		panic("unreachable")
	}
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

package shim_test

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

func byID(c *shim.Call) shim.Verdict { return shim.Return(int64(c.ID)) }

// settler and release are a Verdict's, as functions.
type (
	settler func(*shim.Call, shim.Verdict, error)
	release func(*shim.Worker)
)

func (f settler) Settled(c *shim.Call, v shim.Verdict, answered error) { f(c, v, answered) }
func (f release) LetGo(w *shim.Worker)                                 { f(w) }

func TestEachCallIsAnsweredOnce(t *testing.T) {
	verdicts := []func(*shim.Call) shim.Verdict{
		byID,
		func(*shim.Call) shim.Verdict { return shim.Fail(unix.EPERM) },
		func(*shim.Call) shim.Verdict { return shim.Pass() },
		func(*shim.Call) shim.Verdict { return shim.Run(shim.Rewrite{Nr: 62}) },
		func(*shim.Call) shim.Verdict { return shim.Verdict{} },
		func(*shim.Call) shim.Verdict { return shim.Gone() },
		func(c *shim.Call) shim.Verdict {
			if !c.Slow {
				return shim.Later()
			}
			return byID(c)
		},
	}
	const calls = 210
	gone, settled := 0, make(chan uint64, calls)
	r := serve(t, func(c *shim.Call) shim.Verdict {
		v := verdicts[c.ID%uint64(len(verdicts))](c)
		v.Settler = settler(func(c *shim.Call, _ shim.Verdict, _ error) { settled <- c.ID })
		return v
	})
	for id := range uint64(calls) {
		r.call(id)
		if id%uint64(len(verdicts)) == 5 {
			gone++
		}
	}
	for range calls - gone {
		receive(t, "an answer", r.answers)
		receive(t, "Settled", settled)
	}
	if err := r.end(); err != nil {
		t.Error(err)
	}
	for id := range uint64(calls) {
		want := 1
		if id%uint64(len(verdicts)) == 5 {
			want = 0
		}
		if got := r.timesAnswered(id); got != want {
			t.Errorf("call %d was answered %d times, want %d", id, got, want)
		}
	}
	if len(settled) != 0 {
		t.Errorf("Settled was told %d times more than there were answers", len(settled))
	}
}

func TestWithoutHandlerIsENOSYS(t *testing.T) {
	r := serve(t, func(c *shim.Call) shim.Verdict {
		t.Errorf("the handler got %+v", c.Frame)
		return byID(c)
	})
	for i, frame := range []arch.Frame{
		{Arch: arch.AuditArchX86_64, Nr: 1},
		{Arch: arch.AuditArchX86_64, Nr: 62}, // known, but not served
		{Arch: arch.AuditArchI386, Nr: 37},
		{Arch: 0xc00000b7, Nr: 424},
		{Arch: arch.AuditArchI386, Nr: 424 | arch.X32SyscallBit},
	} {
		r.arrivals <- arrival{id: uint64(i), frame: frame}
		r.expect(uint64(i), shim.Fail(unix.ENOSYS))
	}
}

func TestGoneBeforeReceivedGoesOn(t *testing.T) {
	r := serve(t, byID)
	r.arrivals <- arrival{id: 1, err: fmt.Errorf("wrapped: %w", shim.ErrGone)}
	r.call(2)
	r.expect(2, shim.Return(2))
	if err := r.end(); err != nil {
		t.Errorf("Serve: %v, want nil at the end of the last caller", err)
	}
	if r.timesAnswered(1) != 0 {
		t.Error("a call that was never received was answered")
	}
}

func TestBrokenBackendEndsServe(t *testing.T) {
	broken := errors.New("broken")
	r := serve(t, byID)
	r.arrivals <- arrival{err: broken}
	if err := receive(t, "Serve's end", r.done); !errors.Is(err, broken) {
		t.Errorf("Serve: %v, want what Next said", err)
	}
}

// A caller that left before its answer is ordinary, everything else is the operator's.
func TestRefusedAnswers(t *testing.T) {
	settled := make(chan error, 2)
	r := serve(t, func(c *shim.Call) shim.Verdict {
		v := byID(c)
		v.Settler = settler(func(_ *shim.Call, _ shim.Verdict, answered error) { settled <- answered })
		return v
	})
	r.refuse[1], r.refuse[2] = shim.ErrGone, errors.New("no such ioctl")
	r.call(1, 2, 3)
	for _, want := range []error{shim.ErrGone, r.refuse[2], nil} {
		if got := receive(t, "Settled", settled); got != want {
			t.Errorf("Settled was told %v, want %v", got, want)
		}
	}
	r.end()
	if log := r.log.String(); strings.Count(log, "level=ERROR") != 1 || !strings.Contains(log, "no such ioctl") || !strings.Contains(log, "tid=2") {
		t.Errorf("want one line about call 2, got\n%s", log)
	}
}

// A worker uses its Call again: nothing of the last call may be left in it.
func TestNothingIsLeftOfTheLastCall(t *testing.T) {
	seen := make(chan shim.Call, 2)
	r := serve(t, func(c *shim.Call) shim.Verdict {
		seen <- *c
		c.Record = shim.Record{Rule: "x", Denied: true, Sig: 9}
		return byID(c)
	})
	r.call(1, 2)
	for range 2 {
		c := receive(t, "a call", seen)
		if c.Record != (shim.Record{}) || c.Slow || c.Worker() == nil || c.ABI != arch.AMD64 {
			t.Errorf("the handler of call %d got %+v", c.ID, c)
		}
	}
	r.end()
}

type event struct {
	what    string
	id      uint64
	verdict shim.Verdict
	err     error
}

type recorder struct {
	mu       sync.Mutex // guards below
	events   []event
	received []int64
	answers  func() int
}

func (o *recorder) Before(c *shim.Call, v shim.Verdict) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.events = append(o.events, event{"before", c.ID, v, fmt.Errorf("%d answers", o.answers())})
	o.received = append(o.received, c.Received)
}

func (o *recorder) After(c *shim.Call, v shim.Verdict, answered error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.events = append(o.events, event{"after", c.ID, v, answered})
}

// Observers see a call before its answer, while the caller still waits, and after.
func TestObserver(t *testing.T) {
	o := &recorder{}
	r := serve(t, byID, func(s *shim.Supervisor) {
		o.answers = func() int { return len(s.Backend.(*fake).answers) }
		s.Observe = o
	})
	r.refuse[2] = shim.ErrGone
	r.call(1, 2)
	if err := r.end(); err != nil {
		t.Error(err)
	}
	want := []string{"before 1 return 1 0 answers", "after 1 return 1 <nil>", "before 2 return 2 1 answers", "after 2 return 2 caller no longer waits"}
	var got []string
	for _, e := range o.events {
		got = append(got, fmt.Sprint(e.what, " ", e.id, " ", e.verdict, " ", e.err))
	}
	if !slices.Equal(got, want) {
		t.Errorf("events %q, want %q", got, want)
	}
	if len(o.received) != 2 || o.received[0] <= 0 || o.received[1] <= o.received[0] {
		t.Errorf("received at %v", o.received)
	}
}

// What Serve started ends with it.
func TestServeLeavesNothingRunning(t *testing.T) {
	before := runtime.NumGoroutine()
	r := serve(t, byID)
	r.call(1)
	r.expect(1, shim.Return(1))
	r.end()
	for end := time.Now().Add(deadline); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines before, %d after", before, runtime.NumGoroutine())
		}
	}
}

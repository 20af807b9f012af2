package audit

import (
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// fakeBackend gives the calls it has, each when the one before has been answered.
type fakeBackend struct {
	calls   []shim.Call
	mu      sync.Mutex
	given   int // guarded by mu
	answers int // guarded by mu
	turn    *sync.Cond
}

func (b *fakeBackend) Next(c *shim.Call) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.answers < b.given {
		b.turn.Wait()
	}
	if b.given == len(b.calls) {
		return io.EOF
	}
	c.Tid, c.Frame = b.calls[b.given].Tid, b.calls[b.given].Frame
	b.given++
	return nil
}

func (*fakeBackend) Blocked(*shim.Call) error { return nil }

func (b *fakeBackend) Answer(*shim.Call, shim.Verdict) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answers++
	b.turn.Broadcast()
	return nil
}

// Through the real loop, with both observers: each call gives one line in each, and
// a handler's word before the send reaches the audit.
func TestObserversUnderTheLoop(t *testing.T) {
	lines, endLines := collect(t)
	trace, endTrace := collect(t)
	pid, end := victim(t)
	j := NewJSON(Config{Writer: lines, Proc: openProc(t), Backend: "fake"})
	defer j.Close()
	b := &fakeBackend{}
	b.turn = sync.NewCond(&b.mu)
	for range 3 {
		c := call424(3, int32(unix.SIGTERM), 0, 0)
		c.Tid = int32(os.Getpid())
		b.calls = append(b.calls, c)
	}
	s := shim.Supervisor{
		Backend: b, Observe: Several{NewTrace(trace), j}, Log: slog.New(slog.DiscardHandler),
		Handlers: func() *shim.Handlers {
			return &shim.Handlers{arch.PidfdSendSignal: func(c *shim.Call) shim.Verdict {
				c.Record.TargetPid = pid
				c.BeforeSend()
				end() // what the signal does
				return shim.Return(0)
			}}
		},
	}
	must(t, s.Serve())
	got := parse(t, endLines())
	if len(got) != 3 || b.answers != 3 || strings.Count(endTrace(), "\n") != 3 {
		t.Fatalf("%d lines, %d answers of 3 calls", len(got), b.answers)
	}
	described := 0 // a line may be written after the next call's
	for _, line := range got {
		if line.Target.Comm != nil {
			described++
		}
	}
	if described == 0 || described == len(got) {
		t.Errorf("%d of %d targets are described: the first was alive before the send, the last was gone", described, len(got))
	}
}

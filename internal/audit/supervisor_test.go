package audit

import (
	"io"
	"log/slog"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// fakeBackend gives the calls it has, one after the other.
type fakeBackend struct {
	calls   []shim.Call
	answers int
}

func (b *fakeBackend) Next(c *shim.Call) error {
	if len(b.calls) == 0 {
		return io.EOF
	}
	c.Tid, c.Frame = b.calls[0].Tid, b.calls[0].Frame
	b.calls = b.calls[1:]
	return nil
}

func (*fakeBackend) Blocked(*shim.Call) error { return nil }

func (b *fakeBackend) Answer(*shim.Call, shim.Verdict) error {
	b.answers++
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
				c.Sending()
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
	if got[0].Target.Comm == nil {
		t.Error("the first target was alive before the send, and is not described")
	}
	if got[2].Target.Comm != nil {
		t.Errorf("the last target was gone: %+v", got[2].Target)
	}
}

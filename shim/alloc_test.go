package shim_test

import (
	"io"
	"log/slog"
	"runtime"
	"sync"
	"testing"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// meter hands out calls as fast as they are asked for and counts the allocations from
// the hundredth to the last.
type meter struct {
	mu     sync.Mutex // guards below
	n      int
	before uint64
	after  uint64
}

const measured = 2000

func (m *meter) Next(c *shim.Call) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.n++
	switch m.n {
	case 100:
		m.before = mallocs()
	case 100 + measured:
		m.after = mallocs()
	}
	if m.n >= 100+measured {
		return io.EOF
	}
	c.Frame = arch.Frame{Arch: arch.AuditArchI386, Nr: 424}
	return nil
}

func (*meter) Blocked(*shim.Call) error              { return nil }
func (*meter) Answer(*shim.Call, shim.Verdict) error { return nil }

type silent struct{}

func (silent) Before(*shim.Call, shim.Verdict)       {}
func (silent) After(*shim.Call, shim.Verdict, error) {}

func mallocs() uint64 {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.Mallocs
}

func TestLoopAllocatesNothing(t *testing.T) {
	for name, observe := range map[string]shim.Observer{"alone": nil, "observed": silent{}} {
		t.Run(name, func(t *testing.T) {
			m := &meter{}
			s := shim.Supervisor{
				Backend:  m,
				Handlers: func() *shim.Handlers { return &shim.Handlers{arch.PidfdSendSignal: byID} },
				Observe:  observe,
				Log:      slog.New(slog.DiscardHandler),
			}
			if err := s.Serve(); err != nil {
				t.Fatal(err)
			}
			// The runtime itself may allocate a little meanwhile.
			if got := m.after - m.before; got > measured/20 {
				t.Errorf("%d allocations in %d calls", got, measured)
			}
		})
	}
}

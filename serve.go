package pidfdshim

import (
	"errors"
	"fmt"
	"os"
	"os/exec"

	"github.com/pidfd-shim/pidfd-shim/internal/launch"
	"github.com/pidfd-shim/pidfd-shim/internal/role"
	"github.com/pidfd-shim/pidfd-shim/internal/supervisor"
	"github.com/pidfd-shim/pidfd-shim/notify"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// Served is a command, or a listener, whose calls are being answered.
type Served struct {
	ended chan struct{}
	err   error // good once ended is closed
}

// Wait returns when the last process under the listener has ended, or the Shim was closed
// (ErrClosed).
func (s *Served) Wait() error {
	<-s.ended
	return s.err
}

// Start starts cmd, as its own Start does, with its calls and those of all that it starts
// supervised. cmd.Wait is the caller's to call.
func (s *Shim) Start(cmd *exec.Cmd) (*Served, error) {
	program, err := s.base.Program()
	if err != nil {
		return nil, fmt.Errorf("pidfdshim: %w", err)
	}
	file, err := launch.Start(cmd, role.Self, program, s.base.Features.WaitKillable)
	if err != nil {
		return nil, fmt.Errorf("pidfdshim: %w", err)
	}
	return s.attach(file, s.base.AttachOwn)
}

// Serve begins to answer the calls of a listener that another program has installed, and
// takes ownership of the file. What its filter notifies of cannot be known: calls that the
// policy does not name are left to the kernel, and a profile has to notify of
// landlock_restrict_self (docs/OPERATIONS.md) for signals to be sent in a caller's name.
func (s *Shim) Serve(listener *os.File) (*Served, error) {
	return s.attach(listener, func(l *notify.Listener) *supervisor.Attached { return s.base.Attach(l, false) })
}

func (s *Shim) attach(file *os.File, attach func(*notify.Listener) *supervisor.Attached) (*Served, error) {
	done, err := s.begin()
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	listener, err := notify.Adopt(file)
	if err != nil {
		done()
		return nil, fmt.Errorf("pidfdshim: %w", err)
	}
	served := &Served{ended: make(chan struct{})}
	go func() {
		defer done()
		defer close(served.ended)
		a := attach(listener)
		a.Pool, a.Observer = s.pool, s.observer
		served.err = a.Serve()
		if errors.Is(served.err, shim.ErrStopped) {
			served.err = ErrClosed
		}
		_ = listener.Close()
	}()
	return served, nil
}

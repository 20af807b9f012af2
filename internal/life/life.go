// Package life is a command's life under `run`, as the front has its supervisor told of it: its
// start, its end, and who is left behind. It is apart from supervisor for the library, into which
// nothing of the front belongs.
package life

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/front"
	"github.com/pidfd-shim/pidfd-shim/internal/supervisor"
	"github.com/pidfd-shim/pidfd-shim/notify/ptrace"
)

// Beside is what a program does beside answering in a command's life.
type Beside struct {
	Started func() // COMMAND runs
	Ended   func() // it has ended: what was written about it is to be on its way
	Over    func() // nobody is left to serve

	KeepStderr bool // see front.Hooks
	Protect    bool
}

// Under is for a command under a listener.
func Under(r *supervisor.Run, beside Beside) front.Hooks {
	served := make(chan error, 1)
	return front.Hooks{
		Start: func(fork front.Fork) (int, error) {
			pid, err := r.Launch(func() (int, func(), error) { return fork(nil) })
			if err == nil {
				beside.Started()
				go func() { served <- r.Serve() }()
			}
			return pid, err
		},
		Ended: beside.Ended, Reap: r.Reap, Alone: r.Close,
		KeepStderr: beside.KeepStderr, Protect: beside.Protect,
		Wait: func() error {
			err := r.WaitEnd(served)
			beside.Over()
			return err
		},
	}
}

// flushPatience is for a tracer that writes out what its command did: twice what it takes for a
// reader of it that does not read.
const flushPatience = 10 * time.Second

// Traced is for a command that the tracer serves: this process starts it and
// reaps. seizing is called right before COMMAND is handed over.
func Traced(b *supervisor.Base, tracer *supervisor.Tracer, blocked uint64, seizing func(), beside Beside) front.Hooks {
	return front.Hooks{
		Start: func(fork front.Fork) (int, error) {
			pid, err := b.LaunchTraced(&ptrace.Launcher{
				Fork: ptrace.Fork(fork), Blocked: blocked,
				Seize: func(pid, slot int) error {
					seizing()
					return tracer.Seize(pid, slot)
				},
			})
			return pid, blame(b, err)
		},
		Ended: func() { tracer.CommandEnded(flushPatience) }, Alone: tracer.AwaitEnd,
		KeepStderr: beside.KeepStderr, Protect: beside.Protect,
	}
}

// blame says so where what failed is that somebody else traces us, and what we start.
func blame(b *supervisor.Base, err error) error {
	if !errors.Is(err, unix.EPERM) {
		return err
	}
	if by, unknown := b.TracerOf(int32(os.Getpid())); unknown == nil && by != 0 {
		return fmt.Errorf("--backend ptrace: already traced by %d: a process has one tracer: use --backend notify, or run pidfd-shim outside of it", by)
	}
	return err
}

// Scoped is for one where the kernel keeps signals inside: it starts COMMAND and reaps.
func Scoped(protect bool) front.Hooks {
	return front.Hooks{
		Start: func(fork front.Fork) (int, error) {
			return supervisor.LaunchScoped(func() (int, func(), error) { return fork(nil) })
		},
		Protect: protect,
	}
}

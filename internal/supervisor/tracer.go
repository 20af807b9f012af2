package supervisor

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/role"
)

// Tracer is the process that answers calls under the ptrace backend, as the supervisor has
// it: see Traced.
type Tracer struct {
	socket role.Conn
	pid    int
}

// What the two say to each other.
type (
	toTracer struct {
		Command int  `json:"command,omitempty"` // COMMAND's pid, with the listener slot: seize it
		Ended   bool `json:"ended,omitempty"`   // COMMAND has
	}
	fromTracer struct { // the answer to either
		Failed string `json:"failed,omitempty"`
	}
)

// StartTracer starts the tracer, which ends with the supervisor, and the tree with it: the
// supervisor is who COMMAND's orphans go to, the tree's root by its number, and the only one
// to say that COMMAND has ended. The kernel's word for it is not to be missed or put off, and
// comes before anybody can reap the supervisor. audit, if not nil, is its descriptor after
// role.Socket.
//
// Precondition: called on the main thread, for which that signal stands.
func StartTracer(words []string, audit *os.File) (*Tracer, error) {
	ours, theirs, err := role.Pair("tracer")
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	process, err := role.Start{
		Program: role.Unreadable(), Name: role.Tracer, Words: words,
		Stderr: os.Stderr, Files: []*os.File{theirs.File, audit}, Death: unix.SIGKILL,
	}.Process()
	if err != nil {
		_ = ours.Close()
		return nil, fmt.Errorf("start the tracer: %w", err)
	}
	pid := process.Pid
	_ = process.Release() // the reaper's
	return &Tracer{ours, pid}, nil
}

// Seize hands COMMAND and the listener slot to the tracer and waits until it has them.
func (t *Tracer) Seize(pid, slot int) error {
	var fds []int
	if slot >= 0 {
		fds = append(fds, slot)
	}
	// One that has ended by now has said why, and that can still be read.
	if err := t.socket.Send(toTracer{Command: pid}, fds...); err != nil && !errors.Is(err, unix.EPIPE) {
		return fmt.Errorf("hand COMMAND to the tracer: %w", err)
	}
	var answer fromTracer
	switch _, err := t.socket.Receive(&answer); {
	case errors.Is(err, io.EOF):
		return errors.New("start the tracer: it ended")
	case err != nil:
		return fmt.Errorf("wait for the tracer: %w", err)
	case answer.Failed != "":
		return errors.New(answer.Failed)
	}
	return nil
}

// CommandEnded tells the tracer that COMMAND has ended, and waits until it has written out
// what COMMAND did. A tracer that has ended has done so.
func (t *Tracer) CommandEnded(patience time.Duration) {
	if err := t.socket.Send(toTracer{Ended: true}); err != nil {
		return
	}
	fds := []unix.PollFd{{Fd: int32(t.socket.Fd()), Events: unix.POLLIN}}
	for deadline := time.Now().Add(patience); ; {
		left := max(0, time.Until(deadline))
		if _, err := unix.Poll(fds, int(left.Milliseconds())); !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// AwaitEnd gives the tracer the time to see that its last tracee has ended. Where some
// are left it is one of those whom the supervisor waits for.
func (t *Tracer) AwaitEnd() {
	const patience = 100 * time.Millisecond
	wait := func() { time.Sleep(200 * time.Microsecond) } //nolint:forbidigo // waitid has no deadline, and old kernels no pidfd to poll
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); wait() {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_PID, t.pid, &info, unix.WEXITED|unix.WNOWAIT|unix.WNOHANG, nil)
		if err != nil || info.Signo != 0 {
			return
		}
	}
}

// Obey serves the supervisor: it takes COMMAND from it, and is told of COMMAND's end by it, of
// which ended is told in turn. It returns when nobody is traced any more.
func (t *Traced) Obey(parent role.Conn, ended func()) error {
	var told toTracer
	// The listener slot comes with it and stays ours until we end, whoever else has it.
	if _, err := parent.Receive(&told); err != nil || told.Command == 0 {
		return nil //nolint:nilerr // the supervisor could not start COMMAND
	}
	return t.Serve(int32(told.Command), func(err error) {
		_ = parent.Send(answerOf(err))
		if err == nil {
			go hearEnd(parent, ended)
		}
	})
}

// hearEnd ends with the supervisor.
func hearEnd(parent role.Conn, ended func()) {
	for {
		var told toTracer
		if _, err := parent.Receive(&told); err != nil {
			return
		}
		if told.Ended {
			ended()
			_ = parent.Send(fromTracer{})
		}
	}
}

// FailTracer says why there is no tracer.
func FailTracer(parent role.Conn, err error) { _ = parent.Send(answerOf(err)) }

func answerOf(err error) fromTracer {
	if err == nil {
		return fromTracer{}
	}
	return fromTracer{err.Error()}
}

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/internal/front"
	"github.com/pidfd-shim/pidfd-shim/internal/role"
	"github.com/pidfd-shim/pidfd-shim/internal/supervisor"
	"github.com/pidfd-shim/pidfd-shim/notify/ptrace"
)

// tracerAudit is the tracer's number for a descriptor that --audit=fd:N named.
const tracerAudit = 4

// tracerProcess is the process that answers calls under --backend ptrace, as the
// supervisor has it.
type tracerProcess struct {
	socket role.Conn
	pid    int
}

// tracedHooks are the supervisor's part of the ptrace backend: it starts COMMAND and
// reaps; the tracer does the rest.
func tracedHooks(base *supervisor.Base, c *runConfig, inherited *front.Inherited) (front.Hooks, error) {
	tracer, err := startTracer(c, inherited)
	if err != nil {
		return front.Hooks{}, err
	}
	return front.Hooks{
		Start: func(fork front.Fork) (int, error) {
			pid, err := base.LaunchTraced(&ptrace.Launcher{
				Fork: ptrace.Fork(fork), Blocked: inherited.Blocked,
				Seize: func(pid, slot int) error {
					pauseStart(c.Pause)
					return tracer.seize(pid, slot)
				},
			})
			return pid, blameTracer(base, err)
		},
		Ended:      tracer.commandEnded,
		Alone:      tracer.awaitEnd,
		KeepStderr: c.Trace == "-" || c.Summary == "-",
	}, nil
}

// blameTracer says so where what failed is that somebody else traces us, and what we start.
func blameTracer(base *supervisor.Base, err error) error {
	if !errors.Is(err, unix.EPERM) {
		return err
	}
	if by, unknown := base.TracerOf(int32(os.Getpid())); unknown == nil && by != 0 {
		return fmt.Errorf("--backend ptrace: already traced by %d: a process has one tracer: use --backend notify, or run pidfd-shim outside of it", by)
	}
	return err
}

// startTracer starts the tracer, which ends with the supervisor, and the tree with it: the
// supervisor is who COMMAND's orphans go to, the tree's root by its number, and the only one
// to say that COMMAND has ended. The kernel's word for it is not to be missed or put off, and
// comes before anybody can reap the supervisor.
//
// Precondition: called on the main thread, for which that signal stands.
func startTracer(c *runConfig, inherited *front.Inherited) (*tracerProcess, error) {
	own := *c
	var audit *os.File
	if isDescriptor(c.Audit) {
		file, err := openAudit(c.Audit, inherited)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		audit, own.Audit = file, "fd:"+strconv.Itoa(tracerAudit)
	}
	word, err := json.Marshal(&own)
	if err != nil {
		return nil, fmt.Errorf("hand the flags to the tracer: %w", err)
	}
	ours, theirs, err := role.Pair("tracer")
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	process, err := role.Start{
		Program: role.Unreadable(), Name: role.Tracer, Words: []string{string(word)},
		Stderr: os.Stderr, Files: []*os.File{theirs.File, audit}, Death: unix.SIGKILL,
	}.Process()
	if err != nil {
		_ = ours.Close()
		return nil, fmt.Errorf("start the tracer: %w", err)
	}
	pid := process.Pid
	_ = process.Release() // the reaper's
	return &tracerProcess{ours, pid}, nil
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

// seize hands COMMAND and the listener slot to the tracer and waits until it has them.
func (t *tracerProcess) seize(pid, slot int) error {
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

// commandEnded tells the tracer that COMMAND has ended, and waits until it has written out
// what COMMAND did. A tracer that has ended has done so.
func (t *tracerProcess) commandEnded() {
	if err := t.socket.Send(toTracer{Ended: true}); err != nil {
		return
	}
	fds := []unix.PollFd{{Fd: int32(t.socket.Fd()), Events: unix.POLLIN}}
	for deadline := time.Now().Add(2 * flushTime); ; {
		left := max(0, time.Until(deadline))
		if _, err := unix.Poll(fds, int(left.Milliseconds())); !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// obey does the tracer's part of COMMAND's end: nothing of what COMMAND did is unwritten
// after it, and no pipe of COMMAND's user's is kept open. It ends with the supervisor.
func (c *runConfig) obey(socket role.Conn, o *observers) {
	for {
		var told toTracer
		if _, err := socket.Receive(&told); err != nil {
			return
		}
		if !told.Ended {
			continue
		}
		o.flush()
		if c.Trace != "-" {
			front.DropStderr()
		}
		_ = socket.Send(fromTracer{})
	}
}

// awaitEnd gives the tracer the time to see that its last tracee has ended. Where some
// are left it is one of those whom the supervisor waits for.
func (t *tracerProcess) awaitEnd() {
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

// trace is the tracer process.
func trace(args []string) error {
	socket := role.Conn{File: role.Settle()}
	_ = front.Deafen()
	_ = front.QuietStops() // for speed alone
	err := traceFor(args, socket)
	if err != nil {
		_ = socket.Send(fromTracer{err.Error()})
	}
	return err
}

func traceFor(args []string, socket role.Conn) error {
	c, err := readConfig(args)
	if err != nil {
		return err
	}
	ours := []int{role.Socket}
	if isDescriptor(c.Audit) {
		ours = append(ours, tracerAudit)
	}
	if err := front.CloseInherited(ours...); err != nil {
		return err
	}
	base, err := c.base()
	if err != nil {
		return err
	}
	traced := base.Traced()
	observers, err := c.watch(&traced.Service, func() (*os.File, error) { return openTracerAudit(c.Audit) })
	if err != nil {
		return err
	}
	defer observers.close()
	defer base.Close()
	var told toTracer
	// The listener slot comes with it and stays ours until we end, whoever else has it.
	if _, err := socket.Receive(&told); err != nil || told.Command == 0 {
		return nil //nolint:nilerr // the supervisor could not start COMMAND
	}
	return traced.Serve(int32(told.Command), func(err error) {
		var answer fromTracer
		if err != nil {
			answer.Failed = err.Error()
		}
		_ = socket.Send(answer)
		if err == nil {
			go c.obey(socket, observers)
		}
	})
}

func openTracerAudit(name string) (*os.File, error) {
	if isDescriptor(name) {
		return os.NewFile(tracerAudit, name), nil
	}
	return openAudit(name, nil)
}

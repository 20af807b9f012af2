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
	"github.com/pidfd-shim/pidfd-shim/internal/supervisor"
	"github.com/pidfd-shim/pidfd-shim/notify/ptrace"
)

// tracerAudit is the tracer's number for a descriptor that --audit=fd:N named.
const tracerAudit = 4

// tracerProcess is the process that answers calls under --backend ptrace, as the
// supervisor has it.
type tracerProcess struct {
	socket *os.File
	pid    int
}

// tracedHooks are the supervisor's part of the ptrace backend: it starts COMMAND and
// reaps; the tracer does the rest.
func tracedHooks(s *supervisor.Session, c *runConfig, inherited *front.Inherited) (front.Hooks, error) {
	tracer, err := startTracer(c, inherited)
	if err != nil {
		return front.Hooks{}, err
	}
	return front.Hooks{
		Start: func(fork front.Fork) (int, error) {
			pid, err := s.LaunchTraced(&ptrace.Launcher{
				Fork: ptrace.Fork(fork), Blocked: inherited.Blocked,
				Seize: func(pid, slot int) error {
					pauseStart(c.Pause)
					return tracer.seize(pid, slot)
				},
			})
			return pid, blameTracer(s, err)
		},
		Ended:      tracer.commandEnded,
		Alone:      tracer.awaitEnd,
		KeepStderr: c.Trace == "-" || c.Summary == "-",
	}, nil
}

// blameTracer says so where what failed is that somebody else traces us, and what we start.
func blameTracer(s *supervisor.Session, err error) error {
	if !errors.Is(err, unix.EPERM) {
		return err
	}
	if by, unknown := s.TracerOf(int32(os.Getpid())); unknown == nil && by != 0 {
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
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socketpair", err)
	}
	theirs := os.NewFile(uintptr(fds[1]), "tracer")
	defer theirs.Close()
	process, err := startRole(roleTracer, []string{string(word)}, unix.SIGKILL, os.Stderr, theirs, audit)
	if err != nil {
		_ = unix.Close(fds[0])
		return nil, fmt.Errorf("start the tracer: %w", err)
	}
	pid := process.Pid
	_ = process.Release() // the reaper's
	return &tracerProcess{os.NewFile(uintptr(fds[0]), "tracer"), pid}, nil
}

// seize hands COMMAND and the listener slot to the tracer and waits until it has them.
func (t *tracerProcess) seize(pid, slot int) error {
	var rights []byte
	if slot >= 0 {
		rights = unix.UnixRights(slot)
	}
	// One that has ended by now has said why, and that can still be read.
	if err := unix.Sendmsg(int(t.socket.Fd()), []byte(strconv.Itoa(pid)), rights, nil, 0); err != nil && !errors.Is(err, unix.EPIPE) {
		return fmt.Errorf("hand COMMAND to the tracer: %w", err)
	}
	answer := make([]byte, 4096)
	n, err := t.socket.Read(answer)
	switch {
	case errors.Is(err, io.EOF), err == nil && n == 0:
		return errors.New("start the tracer: it ended")
	case err != nil:
		return fmt.Errorf("wait for the tracer: %w", err)
	case string(answer[:n]) != seizedWord:
		return errors.New(string(answer[:n]))
	}
	return nil
}

// The words of the two: the supervisor's are COMMAND's pid, and then endedWord.
const (
	seizedWord  = "seized"
	endedWord   = "ended"
	flushedWord = "flushed"
)

// commandEnded tells the tracer that COMMAND has ended, and waits until it has written out
// what COMMAND did. A tracer that has ended has done so.
func (t *tracerProcess) commandEnded() {
	if _, err := t.socket.WriteString(endedWord); err != nil {
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
func (c *runConfig) obey(socket *os.File, o *observers) {
	text := make([]byte, 32)
	for {
		n, err := socket.Read(text)
		if err != nil || n == 0 {
			return
		}
		if string(text[:n]) != endedWord {
			continue
		}
		o.flush()
		if c.Trace != "-" {
			front.DropStderr()
		}
		_, _ = socket.WriteString(flushedWord)
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
func trace(args []string) int {
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	_ = front.Deafen()
	_ = front.QuietStops() // for speed alone
	socket := os.NewFile(helperSocket, "supervisor")
	if err := traceFor(args, socket); err != nil {
		_, _ = socket.WriteString(err.Error())
		return statusFailed
	}
	return 0
}

func traceFor(args []string, socket *os.File) error {
	c, err := readConfig(args)
	if err != nil {
		return err
	}
	ours := []int{helperSocket}
	if isDescriptor(c.Audit) {
		ours = append(ours, tracerAudit)
	}
	if err := front.Shed(ours...); err != nil {
		return err
	}
	s, observers, err := c.open(func() (*os.File, error) { return openTracerAudit(c.Audit) })
	if err != nil {
		return err
	}
	defer observers.close()
	defer s.StopHelpers()
	text := make([]byte, 32)
	// The listener slot comes with it and stays ours until we end, whoever else has it.
	n, _, _, _, err := unix.Recvmsg(int(socket.Fd()), text, make([]byte, unix.CmsgSpace(4)), unix.MSG_CMSG_CLOEXEC)
	if err != nil || n == 0 {
		return nil // the supervisor could not start COMMAND
	}
	pid, err := strconv.Atoi(string(text[:n]))
	if err != nil {
		return fmt.Errorf("read COMMAND's pid: %w", err)
	}
	return s.ServeTraced(int32(pid), func(err error) {
		word := seizedWord
		if err != nil {
			word = err.Error()
		}
		_, _ = socket.WriteString(word)
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

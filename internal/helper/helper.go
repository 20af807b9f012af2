// Package helper runs parts of this program in processes of their own: what can block for
// ever is asked of a process that can be killed. It knows nothing of what is asked.
//
// Read helper.go first.
package helper

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ErrLate says that a helper did not answer in time.
var ErrLate = errors.New("helper process does not answer")

// errNone says that no helper could be started for a while: nobody is to wait for one.
var errNone = errors.New("no helper process can be started")

// Helper is a process of ours that does what can block for ever: a process can be
// killed, a thread in such a call cannot. It is asked over a socket, one message a
// question; one that misses the deadline is replaced. A Helper belongs to one worker.
type Helper struct {
	// Command starts `pidfd-shim` in the helper's role on its end of a socket pair.
	Command  func(socket *os.File) (*os.Process, error)
	Deadline time.Duration

	// All lists the helpers that live.
	All *All

	// Pool, if not nil, has the processes: each question goes to one that is free.
	Pool *Pool[*Helper]

	process *os.Process
	socket  int // blocking, with Deadline for a timeout: the poller would cost two more switches
}

// Ask sends a question and waits for its answer: ErrLate if none came in time, or for the time being
// there is no helper. One that has ended is replaced.
func (h *Helper) Ask(question, answer []byte) (int, error) {
	if h.Pool != nil {
		shared := h.Pool.Take()
		defer h.Pool.Put(shared)
		return shared.Ask(question, answer)
	}
	for try := 0; ; try++ {
		if h.process == nil {
			if err := h.All.mayStart(); err != nil {
				return 0, err
			}
			if err := h.All.hasStarted(h.start()); err != nil {
				return 0, fmt.Errorf("start a helper process: %w", err)
			}
		}
		n, err := h.exchange(question, answer)
		if err == nil {
			return n, nil
		}
		h.stop()
		if try > 0 || errors.Is(err, unix.EAGAIN) {
			return 0, ErrLate
		}
	}
}

func (h *Helper) exchange(question, answer []byte) (int, error) {
	if _, err := unix.Write(h.socket, question); err != nil {
		return 0, err
	}
	return h.answer(answer)
}

func (h *Helper) answer(answer []byte) (int, error) {
	for {
		n, err := unix.Read(h.socket, answer)
		switch {
		case errors.Is(err, unix.EINTR):
		case err == nil && n == 0:
			return 0, io.EOF
		default:
			return n, err
		}
	}
}

func (h *Helper) start() error {
	ours, other, err := socketPair()
	if err != nil {
		return err
	}
	theirs := os.NewFile(uintptr(other), "helper")
	if err := errors.Join(setPatience(ours, unix.SO_SNDTIMEO, h.Deadline), setPatience(ours, unix.SO_RCVTIMEO, startPatience)); err != nil {
		_, _ = unix.Close(ours), theirs.Close()
		return err
	}
	h.process, err = h.Command(theirs)
	_ = theirs.Close() // one that dies before it has said anything is not waited for
	if err != nil {
		_ = unix.Close(ours)
		h.process = nil
		return err
	}
	h.socket = ours
	h.All.add(h.socket, h.process.Pid)
	if _, err = h.answer(make([]byte, len(hello))); err == nil {
		err = setPatience(h.socket, unix.SO_RCVTIMEO, h.Deadline)
	}
	if err != nil {
		h.stop()
		return fmt.Errorf("it says nothing: %w", err)
	}
	return nil
}

// hello is what a helper says when it has started. Its deadline is for what it is asked:
// starting a program can take longer than that on a busy machine, each time.
const hello = "!"

// startPatience is for starting.
const startPatience = 10 * time.Second

func setPatience(socket, option int, patience time.Duration) error {
	value := unix.NsecToTimeval(int64(patience))
	return unix.SetsockoptTimeval(socket, unix.SOL_SOCKET, option, &value)
}

// stop kills the process. It is the child of a thread that does not wait for children,
// and the one that does looks at its own only.
func (h *Helper) stop() {
	h.All.remove(h.socket)
	pid := h.process.Pid
	_ = h.process.Signal(syscall.SIGKILL)
	_ = h.process.Release()
	_ = unix.Close(h.socket)
	h.process = nil
	h.All.reap(pid)
}

// Serve is the helper's side: it answers questions until the socket closes.
func Serve(socket *os.File, questionSize, answerSize int, answer func(question, into []byte) int) error {
	question, into := make([]byte, questionSize), make([]byte, answerSize)
	if _, err := socket.WriteString(hello); err != nil {
		return err
	}
	for {
		n, err := socket.Read(question)
		switch {
		case n == 0, errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case n != questionSize:
			return fmt.Errorf("question of %d bytes, not %d", n, questionSize)
		}
		if _, err := socket.Write(into[:answer(question, into)]); err != nil {
			return err
		}
	}
}

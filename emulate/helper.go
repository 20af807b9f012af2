package emulate

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Helper is a process of ours that does what can block for ever: a process can be
// killed, a thread in such a call cannot. It is asked over a socket, one message a
// question; one that misses the deadline is replaced. A Helper belongs to one worker.
type Helper struct {
	// Command starts `pidfd-shim` in the helper's role on its end of a socket pair.
	Command  func(socket *os.File) (*os.Process, error)
	Deadline time.Duration

	// Spare lets a late helper finish by itself instead of killing it.
	Spare bool

	process *os.Process
	socket  *os.File
}

// ask sends a question and waits for its answer: errLater if none came.
func (h *Helper) ask(question, answer []byte) (int, error) {
	if h.process == nil {
		if err := h.start(); err != nil {
			return 0, fmt.Errorf("start a helper process: %w", err)
		}
	}
	n, err := h.exchange(question, answer)
	if err != nil {
		h.stop()
		return 0, errLater
	}
	return n, nil
}

func (h *Helper) exchange(question, answer []byte) (int, error) {
	if err := h.socket.SetDeadline(time.Now().Add(h.Deadline)); err != nil {
		return 0, err
	}
	if _, err := h.socket.Write(question); err != nil {
		return 0, err
	}
	n, err := h.socket.Read(answer)
	if err == nil && n == 0 {
		err = io.EOF
	}
	return n, err
}

func (h *Helper) start() error {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	theirs := os.NewFile(uintptr(fds[1]), "helper")
	defer theirs.Close()
	if err := unix.SetNonblock(fds[0], true); err != nil {
		closeFD(fds[0])
		return err
	}
	h.socket = os.NewFile(uintptr(fds[0]), "helper")
	if h.process, err = h.Command(theirs); err != nil {
		_ = h.socket.Close()
		h.process, h.socket = nil, nil
	}
	return err
}

// stop leaves the process to whoever reaps our children. A spared one ends when it
// finds its socket closed.
func (h *Helper) stop() {
	if !h.Spare {
		_ = h.process.Signal(syscall.SIGKILL)
	}
	_ = h.process.Release()
	_ = h.socket.Close()
	h.process, h.socket = nil, nil
}

// serve is the helper's side: it answers questions until the socket closes.
func serve(socket *os.File, questionSize, answerSize int, answer func(question, into []byte) int) error {
	question, into := make([]byte, questionSize), make([]byte, answerSize)
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

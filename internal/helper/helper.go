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
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ErrLate says that a helper did not answer in time.
var ErrLate = errors.New("helper process does not answer")

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

// All are the helper processes of a supervisor, which are its children: whoever
// waits for the last descendant of COMMAND has to end them first.
type All struct {
	mu     sync.Mutex  // guards below
	live   map[int]int // pid by socket
	closed bool
}

// Stop ends every helper and waits for it to end, without reaping it. The next question
// starts another. Precondition: called by the thread that reaps, so that a number that
// is still our child's stays so: what remove has not been told of is not reaped by us.
func (hs *All) Stop() {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	for socket, pid := range hs.live {
		_ = unix.Shutdown(socket, unix.SHUT_RDWR)
		end(pid)
		delete(hs.live, socket)
	}
}

// Close hangs up on every helper, and on those that are still started: nobody is left
// to be served. Whoever reaps our children would wait for them for ever.
func (hs *All) Close() {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	hs.closed = true
	for socket := range hs.live {
		_ = unix.Shutdown(socket, unix.SHUT_RDWR)
	}
}

// stopPatience is for one that is killed while it holds what others wait for.
const stopPatience = time.Second

func end(pid int) {
	wait := func() { time.Sleep(200 * time.Microsecond) } //nolint:forbidigo // waitid has no deadline, and old kernels no pidfd to poll
	for deadline := time.Now().Add(stopPatience); time.Now().Before(deadline); wait() {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_PID, pid, &info, unix.WEXITED|unix.WNOWAIT|unix.WNOHANG, nil)
		if err != nil || info.Signo != 0 {
			return
		}
		_ = unix.Kill(pid, unix.SIGKILL) //nolint:forbidigo // our child, not reaped: see Stop
	}
}

func (hs *All) add(socket, pid int) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	if hs.live == nil {
		hs.live = map[int]int{}
	}
	hs.live[socket] = pid
	if hs.closed {
		_ = unix.Shutdown(socket, unix.SHUT_RDWR)
	}
}

// Has tells whether a process is one of the helpers.
func (hs *All) Has(pid int32) bool {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	for _, helper := range hs.live {
		if helper == int(pid) {
			return true
		}
	}
	return false
}

func (hs *All) remove(socket int) {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	delete(hs.live, socket)
}

// Ask sends a question and waits for its answer: ErrLate if none came in time. A
// helper that has ended is replaced.
func (h *Helper) Ask(question, answer []byte) (int, error) {
	if h.Pool != nil {
		shared := h.Pool.Take()
		defer h.Pool.Put(shared)
		return shared.Ask(question, answer)
	}
	for try := 0; ; try++ {
		if h.process == nil {
			if err := h.start(); err != nil {
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
	defer theirs.Close()
	if err := errors.Join(setPatience(ours, unix.SO_SNDTIMEO, h.Deadline), setPatience(ours, unix.SO_RCVTIMEO, startPatience)); err != nil {
		_ = unix.Close(ours)
		return err
	}
	if h.process, err = h.Command(theirs); err != nil {
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
		return fmt.Errorf("%w: it did not start: %w", ErrLate, err)
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
	go reap(pid)
}

func reap(pid int) {
	for {
		if _, err := unix.Wait4(pid, nil, 0, nil); !errors.Is(err, unix.EINTR) {
			return
		}
	}
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

package helper

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// Many is a helper process that talks with many at once: each conversation has a socket
// and a thread of its own there. It is started when it is first needed, and again where it
// has died. When we have died it goes on with what it has, and ends.
type Many struct {
	// Command starts the process on its end of a socket pair, and sees to its being reaped.
	Command func(socket *os.File) (*os.Process, error)

	// All lists the helpers that live.
	All *All

	mu      sync.Mutex // guards below
	pid     int        // 0: none
	control int
}

// Dial begins a conversation: a socket that is the caller's to close, one message a
// question.
func (m *Many) Dial() (socket int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	ours, theirs, err := socketPair()
	if err != nil {
		return 0, err
	}
	defer unix.Close(theirs)
	for try := 0; ; try++ {
		if m.pid == 0 {
			if err = m.start(); err != nil {
				break
			}
		}
		if err = unix.Sendmsg(m.control, []byte{1}, unix.UnixRights(theirs), nil, unix.MSG_NOSIGNAL); err == nil {
			return ours, nil
		}
		m.hangUp() // it has died
		if try > 0 {
			break
		}
	}
	_ = unix.Close(ours)
	return 0, fmt.Errorf("start a helper process: %w", err)
}

func (m *Many) start() error {
	ours, theirs, err := socketPair()
	if err != nil {
		return err
	}
	file := os.NewFile(uintptr(theirs), "helper")
	defer file.Close()
	process, err := m.Command(file)
	if err != nil {
		_ = unix.Close(ours)
		return err
	}
	m.pid, m.control = process.Pid, ours
	m.All.add(ours, m.pid)
	_ = process.Release()
	return nil
}

func (m *Many) hangUp() {
	m.All.remove(m.control)
	_ = unix.Close(m.control)
	m.pid = 0
}

func socketPair() (ours, theirs int, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	return fds[0], fds[1], os.NewSyscallError("socketpair", err)
}

// ServeMany is the helper's side: talk has each conversation on a thread of its own, which
// ends with it. It returns when nobody dials any more, and the last of them has ended.
func ServeMany(control *os.File, talk func(socket int)) error {
	var talks sync.WaitGroup
	defer talks.Wait()
	for {
		var word [1]byte
		n, socket, err := Receive(int(control.Fd()), word[:])
		switch {
		case err != nil:
			return err
		case n == 0:
			return nil
		case socket < 0: // no room for it: who has dialled is hung up on
			continue
		}
		talks.Go(func() {
			runtime.LockOSThread() // and never unlocked
			defer unix.Close(socket)
			talk(socket)
		})
	}
}

// Receive takes a message, and the descriptor that came with it: -1 without one.
func Receive(socket int, into []byte) (n, fd int, err error) {
	var control [64]byte
	for {
		n, oob, _, _, err := unix.Recvmsg(socket, into, control[:], unix.MSG_CMSG_CLOEXEC)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return 0, -1, os.NewSyscallError("recvmsg", err)
		}
		return n, firstRight(control[:oob]), nil
	}
}

func firstRight(control []byte) int {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil || len(messages) == 0 {
		return -1
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) == 0 {
		return -1
	}
	return fds[0] // nobody sends more
}

package emulate

import (
	"encoding/binary"
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// The wire: {what, pid uint32} asks, {errno uint32} answers.
const (
	pinQuestion = 8
	pinAnswer   = 4

	pinSeize   = 1
	pinRelease = 2
)

// pins is the helper process's side of Pinner: the tasks that it traces. A task is let
// go at its next stop, which may be long in coming: it may wait for a call of its own
// to be answered. Meanwhile others are pinned and released.
type pins struct {
	socket int
	held   map[int32]*pin

	// Each released task is waited for by a goroutine, because ptrace requests are for
	// this thread alone, but waiting is not. It posts to ready, and a byte to wake.
	ready          chan int32
	wake, wakeable int
}

type pin struct {
	users   int  // seizures that have not been released
	waiting bool // a goroutine waits for the task to stop or end
	ready   bool // it has
}

// ServePins is the helper process. Precondition: the goroutine is locked to its thread,
// which owns the tracees. If the supervisor ends, so does this process, and the kernel
// detaches what it held, with the signals they had stopped for.
func ServePins(socket *os.File) error {
	var wake [2]int
	if err := unix.Pipe2(wake[:], unix.O_CLOEXEC); err != nil {
		return os.NewSyscallError("pipe2", err)
	}
	p := pins{socket: int(socket.Fd()), held: map[int32]*pin{}, ready: make(chan int32, 1), wake: wake[1], wakeable: wake[0]}
	for {
		asked, err := p.next()
		if err != nil {
			return err
		}
		if !asked {
			p.settle(<-p.ready)
			continue
		}
		err = p.answer()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// next waits for a question, or for a stop: false. While nobody is held only a
// question can come, and reading it waits for that.
func (p *pins) next() (asked bool, err error) {
	if len(p.held) == 0 {
		return true, nil
	}
	fds := []unix.PollFd{{Fd: int32(p.wakeable), Events: unix.POLLIN}, {Fd: int32(p.socket), Events: unix.POLLIN}}
	for {
		_, err := unix.Poll(fds, -1)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return false, os.NewSyscallError("poll", err)
		case fds[0].Revents == 0:
			return true, nil
		}
		var b [1]byte
		_, err = unix.Read(p.wakeable, b[:])
		return false, err
	}
}

func (p *pins) answer() error {
	var question [pinQuestion]byte
	n, err := unix.Read(p.socket, question[:])
	switch {
	case errors.Is(err, unix.EINTR):
		return nil
	case err != nil:
		return os.NewSyscallError("read", err)
	case n != pinQuestion:
		return io.EOF
	}
	pid := int32(binary.LittleEndian.Uint32(question[4:]))
	var errno unix.Errno
	switch binary.LittleEndian.Uint32(question[:]) {
	case pinSeize:
		errno = p.seize(pid)
	case pinRelease:
		errno = p.release(pid)
	}
	var answer [pinAnswer]byte
	binary.LittleEndian.PutUint32(answer[:], uint32(errno))
	if _, err = unix.Write(p.socket, answer[:]); err != nil {
		return os.NewSyscallError("write", err)
	}
	return nil
}

// seize pins a task, once more if it has not been let go yet.
func (p *pins) seize(pid int32) unix.Errno {
	if held := p.held[pid]; held != nil {
		held.users++
		return 0
	}
	if err := unix.PtraceSeize(int(pid)); err != nil {
		return errnoOf(err)
	}
	p.held[pid] = &pin{users: 1}
	return 0
}

// release makes the task stop, so that it can be let go there.
func (p *pins) release(pid int32) unix.Errno {
	held := p.held[pid]
	if held == nil { // the seizure was lost
		return unix.ESRCH
	}
	held.users--
	errno := errnoOf(unix.PtraceInterrupt(int(pid)))
	if held.ready {
		p.letGo(pid, held)
	} else {
		p.await(pid, held)
	}
	return errno
}

func (p *pins) await(pid int32, held *pin) {
	if held.waiting {
		return
	}
	held.waiting = true
	go func() {
		waitReady(pid)
		p.ready <- pid
		_, _ = unix.Write(p.wake, []byte{0})
	}()
}

// waitReady waits for a tracee to stop or to end and leaves it so: what ends the wait
// of a dead one also gives its number away.
func waitReady(pid int32) {
	for {
		var info unix.Siginfo
		err := unix.Waitid(unix.P_PID, int(pid), &info, unix.WEXITED|unix.WSTOPPED|unix.WNOWAIT|unix.WALL, nil)
		if !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

func (p *pins) settle(pid int32) {
	held := p.held[pid]
	held.waiting, held.ready = false, true
	p.letGo(pid, held)
}

// letGo detaches a stopped task that nobody uses. A stop for a signal gives that signal
// back, with its siginfo. A dead task goes to its real parent.
func (p *pins) letGo(pid int32, held *pin) {
	if held.users > 0 {
		return
	}
	held.ready = false
	var status unix.WaitStatus
	n, err := unix.Wait4(int(pid), &status, unix.WALL|unix.WNOHANG, nil)
	switch {
	case err == nil && n == 0, errors.Is(err, unix.EINTR):
		p.await(pid, held) // no longer stopped: killed in its stop
		return
	case err != nil, !status.Stopped():
		delete(p.held, pid)
		return
	}
	sig := 0
	if event := uint32(status) >> 16; event == 0 {
		sig = int(status.StopSignal())
	}
	if ptraceDetach(pid, sig) == 0 {
		delete(p.held, pid)
		return
	}
	p.await(pid, held) // killed in its stop: a zombie that waits for us before its parent
}

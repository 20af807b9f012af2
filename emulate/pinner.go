package emulate

import (
	"encoding/binary"
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/helper"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// Pinner holds a number's owner by PTRACE_SEIZE while a signal is sent to it: a traced
// task that dies stays a zombie, and its number its own, until its tracer has waited.
// The tracer is a helper process, because a wait4(-1) of the supervisor, which reaps
// orphans, would take the tracer's stops for itself.
//
// What the target can notice: TracerPid for some 100 us, and the stop in which the
// tracer lets go makes epoll_wait and sigtimedwait return EINTR (ptrace(2), signal(7)).
type Pinner struct {
	helper.Helper
}

// The wire: {what, pid uint32} asks, {errno uint32} answers.
const (
	pinQuestion = 8
	pinAnswer   = 4

	pinSeize   = 1
	pinRelease = 2
)

// send pins the owner of the number, sees through the handle that it is the target,
// and sends. The guard is seize only if the owner was held for the whole time.
func (p *Pinner) send(h *SendSignal, t *target, n *number) (errno unix.Errno, guard shim.Guard) {
	if p.do(pinSeize, n.pid) != 0 { // traced already, a zombie, a kernel thread, not ours to trace
		return h.narrowed(t, n), shim.GuardNarrowed
	}
	errno = h.narrowed(t, n)
	if p.do(pinRelease, n.pid) != 0 {
		// The seizure was dropped meanwhile: another thread of the target called execve.
		return errno, shim.GuardNarrowed
	}
	return errno, shim.GuardSeize
}

func (p *Pinner) do(what uint32, pid int32) unix.Errno {
	var question [pinQuestion]byte
	var answer [pinAnswer]byte
	binary.LittleEndian.PutUint32(question[0:], what)
	binary.LittleEndian.PutUint32(question[4:], uint32(pid))
	if _, err := p.Ask(question[:], answer[:]); err != nil {
		return unix.ETIMEDOUT
	}
	return unix.Errno(binary.LittleEndian.Uint32(answer[:]))
}

// ServePins is the helper process's side of Pinner. Precondition: the goroutine is
// locked to its thread, which owns the tracees. If the supervisor ends, so does this
// process, and the kernel detaches what it held.
func ServePins(socket *os.File) error {
	held := int32(0)
	question, answer := make([]byte, pinQuestion), make([]byte, pinAnswer)
	for {
		n, err := socket.Read(question)
		if n != pinQuestion {
			return err
		}
		pid := int32(binary.LittleEndian.Uint32(question[4:]))
		var errno unix.Errno
		switch binary.LittleEndian.Uint32(question) {
		case pinSeize:
			errno = errnoOf(unix.PtraceSeize(int(pid)))
		case pinRelease:
			errno = errnoOf(unix.PtraceInterrupt(int(pid)))
			held = pid
		}
		binary.LittleEndian.PutUint32(answer, uint32(errno))
		if _, err := socket.Write(answer); err != nil {
			return err
		}
		if held != 0 && errno == 0 {
			release(held)
		}
		held = 0
	}
}

// release waits for the tracee's next stop and lets go there. A stop for a signal gives
// that signal back, with its siginfo.
func release(pid int32) {
	var status unix.WaitStatus
	for {
		_, err := unix.Wait4(int(pid), &status, unix.WALL, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil || !status.Stopped() {
			return // gone: its real parent hears of it now
		}
		break
	}
	sig := 0
	if event := uint32(status) >> 16; event == 0 {
		sig = int(status.StopSignal())
	}
	_ = ptraceDetach(pid, sig)
}

package kernel

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch/abi"
)

// Reach is how far a call comes on its way to a filter of ours. Of all filters that a task
// is under the strictest action wins (seccomp(2): KILL, TRAP, ERRNO, USER_NOTIF, TRACE), so
// a sandbox around us can answer first, and then nothing of ours is asked.
type Reach uint8

// The outcomes.
const (
	ReachesUs Reach = iota
	AnsweredFirst
	Trapped
	Killed
	ListenerUnreadable
	Untraceable
)

// Outcome is what became of a real call under a filter of ours.
type Outcome struct {
	Reach Reach
	Errno unix.Errno // of AnsweredFirst, ListenerUnreadable and Untraceable; 0: the call was said to have succeeded
}

// String implements fmt.Stringer.
func (o Outcome) String() string {
	switch o.Reach {
	case AnsweredFirst:
		return "answered by ERRNO " + errnoName(o.Errno)
	case Trapped:
		return "trapped"
	case Killed:
		return "killed"
	case ListenerUnreadable:
		return "listener unreadable (" + errnoName(o.Errno) + ")"
	case Untraceable:
		return "not to be traced (" + errnoName(o.Errno) + ")"
	}
	return "reaches us"
}

func errnoName(errno unix.Errno) string {
	if name := unix.ErrnoName(errno); name != "" {
		return name
	}
	return fmt.Sprint(int(errno))
}

// Filtered tells whether this process is under a filter already. One that keeps it from
// finding out is one.
func Filtered() bool {
	mode, err := unix.PrctlRetInt(unix.PR_GET_SECCOMP, 0, 0, 0, 0)
	return err != nil || mode != 0
}

// Statuses of abi.CallOnce's child that are no errno.
const (
	statusTrapped  = abi.StatusTrapped
	statusAnswered = 201 // what we answer a call with that has reached us
)

// outcomeOf is what the child's end tells, where the call was not seen.
func outcomeOf(status syscall.WaitStatus) Outcome {
	switch {
	case !status.Exited():
		return Outcome{Reach: Killed}
	case status.ExitStatus() == statusTrapped:
		return Outcome{Reach: Trapped}
	}
	return Outcome{Reach: AnsweredFirst, Errno: unix.Errno(status.ExitStatus())}
}

// ReachNotified makes a call in a child whose filter notifies us of it.
func ReachNotified(nr uint32) (o Outcome, err error) {
	onThrowawayThread(func() { o, err = notifiedHere(nr) })
	return o, err
}

// notifiedHere leaves the calling thread under the filter.
func notifiedHere(nr uint32) (o Outcome, err error) {
	listener, err := filterCall(nr, unix.SECCOMP_RET_USER_NOTIF, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER)
	if err != nil {
		return o, err
	}
	defer unix.Close(listener)
	var end [2]int // whose writer the child has for as long as it lives
	if err := unix.Pipe2(end[:], unix.O_CLOEXEC); err != nil {
		return o, answer("pipe2", err)
	}
	defer unix.Close(end[0])
	child, err := startProgram("a program that makes a call", abi.CallOnce(nr), &syscall.ProcAttr{Files: []uintptr{uintptr(end[1])}})
	_ = unix.Close(end[1])
	if err != nil {
		return o, err
	}
	return notified(child, listener, end[0])
}

// notified answers the child's call, if there is one to answer, and sees how it ends.
func notified(child, listener, end int) (o Outcome, err error) {
	received := false
	for {
		fds := []unix.PollFd{{Fd: int32(listener), Events: unix.POLLIN}, {Fd: int32(end)}}
		_, err := unix.Poll(fds, -1)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil, fds[1].Revents != 0:
			var status syscall.WaitStatus
			if _, err := wait(child, &status); err != nil {
				return o, answer("wait for who makes a call", err)
			}
			if received && status.Exited() && status.ExitStatus() == statusAnswered {
				return Outcome{}, nil
			}
			return outcomeOf(status), nil
		default:
			if errno := answerOne(listener); errno != 0 {
				killChild(child)
				return Outcome{ListenerUnreadable, errno}, nil
			}
			received = true
		}
	}
}

// answerOne takes a call and answers it. The first is struct seccomp_notif, 80 bytes, of
// which the kernel wants as many zeros as it knows fields; the second seccomp_notif_resp.
func answerOne(listener int) (errno unix.Errno) {
	var call [64]uint64
	err := ioctlPointer(listener, unix.SECCOMP_IOCTL_NOTIF_RECV, call[:])
	if err == nil {
		err = ioctlPointer(listener, unix.SECCOMP_IOCTL_NOTIF_SEND, []uint64{call[0], 0, uint64(uint32(1<<32 - statusAnswered))})
	}
	errors.As(err, &errno)
	return errno
}

// ReachTraced makes a call in a child whose filter shows it to us as its tracer.
func ReachTraced(nr uint32) (o Outcome, err error) {
	onThrowawayThread(func() { o, err = tracedHere(nr) })
	return o, err
}

// tracedHere leaves the calling thread under the filter.
func tracedHere(nr uint32) (o Outcome, err error) {
	if _, err := filterCall(nr, unix.SECCOMP_RET_TRACE, 0); err != nil {
		return o, err
	}
	restore, err := onlySIGTRAP()
	if err != nil {
		return o, answer("rt_sigprocmask", err)
	}
	defer restore()
	name, file, err := inMemory(abi.CallOnce(nr))
	if err != nil {
		return o, answer("write a program that makes a call", err)
	}
	defer file.Close()
	child, err := syscall.ForkExec(name, []string{name}, &syscall.ProcAttr{
		Env: []string{}, Sys: &syscall.SysProcAttr{Ptrace: true, Pdeathsig: syscall.SIGKILL},
	})
	if err != nil {
		return untraceable(err)
	}
	return tracedCall(child)
}

func untraceable(err error) (Outcome, error) {
	var errno unix.Errno
	if !errors.As(err, &errno) {
		return Outcome{}, answer("trace who makes a call", err)
	}
	return Outcome{Untraceable, errno}, nil
}

// tracedCall runs the child, which stops at its exec, to its call or to its end.
func tracedCall(child int) (o Outcome, err error) {
	const filtered = unix.PTRACE_EVENT_SECCOMP<<8 | int(unix.SIGTRAP)
	deliver, seen := 0, false
	for {
		var status syscall.WaitStatus
		if _, err := wait(child, &status); err != nil {
			return o, answer("wait for who makes a call", err)
		}
		if !status.Stopped() {
			return outcomeOf(status), nil
		}
		switch {
		case !seen: // exec's
			err = syscall.PtraceSetOptions(child, unix.PTRACE_O_TRACESECCOMP|unix.PTRACE_O_EXITKILL)
			seen = true
		case int(status)>>8 == filtered:
			killChild(child)
			return Outcome{}, nil
		default:
			deliver = int(status.StopSignal())
		}
		if err == nil {
			err = syscall.PtraceCont(child, deliver)
		}
		if err != nil {
			killChild(child)
			return untraceable(err)
		}
	}
}

// filterCall puts a filter on the calling thread that acts on one call, and leaves every
// other alone.
func filterCall(nr, action uint32, flags uint) (fd int, err error) {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return -1, answer("prctl(PR_SET_NO_NEW_PRIVS)", err)
	}
	fd, err = seccompFilter(flags,
		unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // nr of struct seccomp_data
		unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: nr, Jf: 1},
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: action},
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	)
	return fd, answer("seccomp(SET_MODE_FILTER)", err, unix.EINVAL)
}

package front

import (
	"os"
	"structs"
	"unsafe"

	"golang.org/x/sys/unix"
)

// noteSize is what the handler writes for a signal: one siginfo_t.
const noteSize = 128

// The assembly reads these. They are set once, before the first handler is
// installed, and are variables of the package because a handler has no context.
var (
	//lint:ignore U1000 read by the assembly
	notes      int32       // where the handler writes siginfo; 0 drops it
	goHandlers [65]uintptr // the Go runtime's own, for faults
	ownPid     int32
	taker      int32 // the thread that is to get all signals
	//lint:ignore U1000 read by the assembly
	notTaken sigset // what any other thread blocks as soon as it gets one
)

func handlerAddress() uintptr
func restorerAddress() uintptr

// struct kernel_sigaction, <asm/signal.h> of x86:
//
//	__sighandler_t sa_handler; unsigned long sa_flags;
//	__sigrestore_t sa_restorer; sigset_t sa_mask;
type sigaction struct {
	_        structs.HostLayout
	handler  uintptr
	flags    uint64
	restorer uintptr
	mask     sigset
}

const (
	saNoStops  = 0x1 // SA_NOCLDSTOP
	saSiginfo  = 0x4
	saRestorer = 0x04000000
	saOnstack  = 0x08000000
	saRestart  = 0x10000000
	sigDfl     = 0
	sigIgn     = 1
)

// catch makes our handler that of sig. The Go runtime keeps believing that its
// own is installed, which is what makes it reset sig in a forked child.
func catch(sig unix.Signal) error {
	act := sigaction{
		handler: handlerAddress(), restorer: restorerAddress(), mask: everything,
		flags: saSiginfo | saRestorer | saOnstack | saRestart,
	}
	if sig == unix.SIGCHLD { // each stop of a tracee would wake the main thread otherwise
		act.flags |= saNoStops
	}
	return rtSigaction(sig, &act, nil)
}

// AnswerTrapped has calls of ours that a filter around us traps (SECCOMP_RET_TRAP) fail with
// ENOSYS, as on a kernel without them: the Go runtime would end with a trace of every stack.
func AnswerTrapped() error { return catch(unix.SIGSYS) }

// catchOnce is catch for a signal that ends the system call that it interrupts.
func catchOnce(sig unix.Signal) error {
	return rtSigaction(sig, &sigaction{
		handler: handlerAddress(), restorer: restorerAddress(), mask: everything,
		flags: saSiginfo | saRestorer | saOnstack,
	}, nil)
}

// dispose gives sig the disposition sigDfl or sigIgn behind the runtime's back.
func dispose(sig unix.Signal, disposition uintptr) error {
	return rtSigaction(sig, &sigaction{handler: disposition}, nil)
}

// handlerOf is what sig is handled by now.
func handlerOf(sig unix.Signal) (uintptr, error) {
	var old sigaction
	err := rtSigaction(sig, nil, &old)
	return old.handler, err
}

func rtSigaction(sig unix.Signal, act, old *sigaction) error {
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig),
		uintptr(unsafe.Pointer(act)), uintptr(unsafe.Pointer(old)), unsafe.Sizeof(everything), 0, 0)
	if errno != 0 {
		return os.NewSyscallError("rt_sigaction", errno)
	}
	return nil
}

// setMask sets the calling thread's signal mask and returns the one before. The
// system call is raw: glibc's and x/sys's would keep some signals out.
func setMask(mask sigset) (old sigset) {
	unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK,
		uintptr(unsafe.Pointer(&mask)), uintptr(unsafe.Pointer(&old)), unsafe.Sizeof(mask), 0, 0)
	return old
}

// deathSignal is the calling thread's PR_GET_PDEATHSIG.
func deathSignal() unix.Signal {
	var sig int32
	_ = unix.Prctl(unix.PR_GET_PDEATHSIG, uintptr(unsafe.Pointer(&sig)), 0, 0, 0)
	return unix.Signal(sig)
}

// takePending takes a pending blocked sig away from the calling thread.
func takePending(sig unix.Signal) {
	set, zero := setOf(sig), unix.Timespec{}
	unix.RawSyscall6(unix.SYS_RT_SIGTIMEDWAIT, uintptr(unsafe.Pointer(&set)), 0,
		uintptr(unsafe.Pointer(&zero)), unsafe.Sizeof(set), 0, 0)
}

// queueinfo is rt_sigqueueinfo(2): info's si_signo is the signal.
//
// Precondition: pid is an unreaped child, so that its number is its own.
func queueinfo(pid int, sig unix.Signal, info *note) error {
	_, _, errno := unix.RawSyscall(unix.SYS_RT_SIGQUEUEINFO, uintptr(pid), uintptr(sig),
		uintptr(unsafe.Pointer(info)))
	if errno != 0 {
		return os.NewSyscallError("rt_sigqueueinfo", errno)
	}
	return nil
}

// nextChild waits for an event of a child and leaves it there to be taken. Not of the sentinel: that
// has no signal of its end, and its number is its own until it is stopped.
func nextChild(flags int) (pid int, err error) {
	return child(unix.WEXITED | unix.WSTOPPED | unix.WCONTINUED | flags)
}

// child finds a child with one of the events asked for and leaves it there; the kernel
// fills si_pid. 0: there is none, and WNOHANG was given.
func child(flags int) (pid int, err error) {
	var info note
	err = waitFor(unix.P_ALL, 0, &info, flags|unix.WNOWAIT)
	return int(info.pid()), err
}

// The events of a child that are a stop's (CLD_TRAPPED, CLD_STOPPED, <asm-generic/siginfo.h>).
const (
	cldTrapped = 4
	cldStopped = 5
)

// waitFor is waitid(2).
func waitFor(kind, pid int, info *note, flags int) error {
	for {
		_, _, errno := unix.Syscall6(unix.SYS_WAITID, uintptr(kind), uintptr(pid), uintptr(unsafe.Pointer(info)),
			uintptr(flags), 0, 0)
		switch errno {
		case 0:
			return nil
		case unix.EINTR:
		default:
			return os.NewSyscallError("waitid", errno)
		}
	}
}

// QuietStops has the kernel send no SIGCHLD for stops (SA_NOCLDSTOP): a tracer's wait tells
// of each, and the handler would run twice for every call that is traced.
func QuietStops() error {
	var act sigaction
	if err := rtSigaction(unix.SIGCHLD, nil, &act); err != nil {
		return err
	}
	act.flags |= saNoStops
	return rtSigaction(unix.SIGCHLD, &act, nil)
}

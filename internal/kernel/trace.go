package kernel

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/internal/sys"
)

// ptraceSeize asks for PTRACE_SEIZE of a child. Linux 3.4. EPERM is a policy's word
// (Yama, a sandbox), hence unknown.
func ptraceSeize() error {
	return withStoppedChild(func(child int) error {
		// Let go of with SIGSTOP it runs no instruction, and is nobody's tracee when
		// it is seized.
		if err := sys.Err(sys.PtraceDetach(int32(child), unix.SIGSTOP)); err != nil {
			return answer("ptrace(PTRACE_DETACH, SIGSTOP)", err)
		}
		return answer("ptrace(PTRACE_SEIZE, child)", sys.Err(sys.PtraceSeize(int32(child), 0)), unix.EIO)
	})
}

// GetSyscallInfo asks for PTRACE_GET_SYSCALL_INFO. Linux 5.3; EIO before.
func GetSyscallInfo() error {
	return withStoppedChild(func(child int) error {
		return answer("ptrace(PTRACE_GET_SYSCALL_INFO, child)", sys.Err(sys.PtraceGetSyscallInfo(int32(child), &sys.PtraceSyscallInfo{})), unix.EIO)
	})
}

// TraceOrder asks whether a call that a filter shows to a tracer is past its entry stop,
// so that the stop after it is the exit's. Linux 4.8 ("seccomp: recheck the syscall after
// RET_TRACE"); before it, and in gVisor, the entry's stop comes after the filter's, where
// what the tracer has changed would be filtered no more.
func TraceOrder() (err error) {
	onThrowawayThread(func() {
		// The Go runtime of a child makes this call as it starts, ours never again.
		if _, err = filterCall(unix.SYS_SCHED_GETAFFINITY, unix.SECCOMP_RET_TRACE, 0); err == nil {
			err = withStoppedChild(afterTrace)
		}
	})
	return err
}

// afterTrace runs the child to the filter's stop, and one further.
func afterTrace(child int) error {
	const options = unix.PTRACE_O_TRACESECCOMP | unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_EXITKILL
	if err := syscall.PtraceSetOptions(child, options); err != nil {
		return answer("ptrace(PTRACE_SETOPTIONS, TRACESECCOMP)", err, unix.EINVAL)
	}
	const filtered = syscall.WaitStatus(unix.PTRACE_EVENT_SECCOMP<<16 | unix.SIGTRAP<<8 | 0x7f)
	if err := runTo(child, filtered, syscall.PtraceCont); err != nil {
		return err
	}
	const called = syscall.WaitStatus((unix.SIGTRAP|0x80)<<8 | 0x7f)
	if err := runTo(child, called, syscall.PtraceSyscall); err != nil {
		return err
	}
	var regs arch.Regs
	if errno := sys.PtraceGetRegs(int32(child), &regs); errno != 0 {
		return answer("ptrace(PTRACE_GETREGS)", errno)
	}
	if int64(regs.Result()) == -int64(unix.ENOSYS) { // an entry's: there is no result yet
		return fmt.Errorf("ptrace(PTRACE_SYSCALL) after RET_TRACE: %w (a call's entry comes next, not its exit)", errors.ErrUnsupported)
	}
	return nil
}

// runTo resumes the child until a stop, which must be the one meant.
func runTo(child int, meant syscall.WaitStatus, resume func(pid, sig int) error) error {
	if err := resume(child, 0); err != nil {
		return answer("resume a traced child", err)
	}
	var status syscall.WaitStatus
	if _, err := wait(child, &status); err != nil {
		return answer("wait for a traced child", err)
	}
	if status != meant {
		return fmt.Errorf("traced child: status %#x instead of %#x", status, meant)
	}
	return nil
}

// withStoppedChild calls ask on the thread that traces a child which has stopped
// before its first instruction, and kills the child afterwards. What it would run
// does not matter.
func withStoppedChild(ask func(child int) error) error {
	runtime.LockOSThread() // ptrace answers only the thread that traces
	defer runtime.UnlockOSThread()
	restore, err := onlySIGTRAP()
	if err != nil {
		return answer("rt_sigprocmask", err)
	}
	defer restore()
	child, err := syscall.ForkExec("/proc/self/exe", []string{"pidfd-shim-probe"}, &syscall.ProcAttr{
		Sys: &syscall.SysProcAttr{Ptrace: true, Pdeathsig: syscall.SIGKILL},
	})
	if err != nil {
		return answer("start a traced child", err)
	}
	defer killChild(child)
	var status syscall.WaitStatus
	if _, err := wait(child, &status); err != nil {
		return answer("wait for a traced child", err)
	}
	if !status.Stopped() {
		return fmt.Errorf("traced child: status %#x instead of a stop", status)
	}
	return ask(child)
}

// onlySIGTRAP blocks every other signal in this thread, and so in a child that it
// forks: exec stops by a SIGTRAP, and no other signal is to stop the child before. But for
// SIGSYS, which kills whom a filter traps while it is blocked.
func onlySIGTRAP() (restore func(), err error) {
	var mask, old unix.Sigset_t
	for i := range mask.Val {
		mask.Val[i] = ^uint64(0)
	}
	mask.Val[0] &^= 1<<(unix.SIGTRAP-1) | 1<<(unix.SIGSYS-1)
	if err := unix.PthreadSigmask(unix.SIG_SETMASK, &mask, &old); err != nil {
		return nil, err
	}
	return func() { _ = unix.PthreadSigmask(unix.SIG_SETMASK, &old, nil) }, nil
}

// killChild ends a child of ours. Its number is pinned: nobody else waits for it.
func killChild(child int) {
	if syscall.Kill(child, syscall.SIGKILL) != nil { //nolint:forbidigo // our own child, not yet waited for
		_ = unix.Tgkill(child, child, unix.SIGKILL) // where a filter around us refuses kill
	}
	for {
		var status syscall.WaitStatus
		if _, err := wait(child, &status); err != nil || status.Exited() || status.Signaled() {
			return
		}
	}
}

func wait(child int, status *syscall.WaitStatus) (int, error) {
	for {
		pid, err := syscall.Wait4(child, status, syscall.WALL, nil)
		if !errors.Is(err, syscall.EINTR) {
			return pid, err
		}
	}
}

// ProcessVMReadv asks for process_vm_readv, of ourselves. Linux 3.2.
func ProcessVMReadv() error {
	return answer("process_vm_readv(own pid)", sys.Err(sys.ReadOwnMemory()))
}

// comparesFiles asks whether two tasks' descriptor tables can be compared. Linux 3.5,
// where the kernel was built with it.
func comparesFiles() error {
	pid := int32(os.Getpid())
	_, errno := sys.Kcmp(pid, pid, sys.KCMP_FILES, 0, 0)
	return answer("kcmp(own pid, own pid, KCMP_FILES)", sys.Err(errno), unix.EINVAL)
}

// yamaScope reads who may trace whom. Linux 3.4, where Yama is on.
func yamaScope() (string, error) {
	text, err := os.ReadFile("/proc/sys/kernel/yama/ptrace_scope")
	return strings.TrimSpace(string(text)), answer("read yama/ptrace_scope", err, unix.ENOENT)
}

// landlockABI asks which Landlock there is. Linux 5.13; EOPNOTSUPP where it is
// built but off.
func landlockABI() (int, error) {
	abi, errno := sys.LandlockABI()
	return abi, answer("landlock_create_ruleset(VERSION)", sys.Err(errno), unix.EOPNOTSUPP)
}

func landlockDetail() (string, error) {
	abi, err := landlockABI()
	if err != nil {
		return "", err
	}
	if abi >= 6 {
		return fmt.Sprintf("ABI %d: run --scope-signals", abi), nil
	}
	return fmt.Sprintf("ABI %d", abi), nil
}

// LandlockScopesSignals tells whether a Landlock domain can forbid signals to those
// outside it (LANDLOCK_SCOPE_SIGNAL): the sixth ABI, Linux 6.12. Where that cannot be
// told, as under a filter, it can.
func LandlockScopesSignals() bool {
	abi, err := landlockABI()
	if err != nil {
		return !errors.Is(err, errors.ErrUnsupported)
	}
	return abi >= 6
}

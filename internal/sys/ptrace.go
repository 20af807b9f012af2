package sys

import (
	"structs"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
)

func ptrace(what int, tid int32, addr, data uintptr) unix.Errno {
	_, _, errno := unix.RawSyscall6(unix.SYS_PTRACE, uintptr(what), uintptr(tid), addr, data, 0, 0)
	return errno
}

// PtraceSeize is PTRACE_SEIZE, since 3.4. It takes a mutex of the task's execve
// (kernel/ptrace.c, cred_guard_mutex), so it is no RawSyscall.
func PtraceSeize(tid int32, options int) unix.Errno {
	_, _, errno := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_SEIZE, uintptr(tid), 0, uintptr(options), 0, 0)
	return errno
}

// PtraceInterrupt is PTRACE_INTERRUPT of a task that was seized.
func PtraceInterrupt(tid int32) unix.Errno { return ptrace(unix.PTRACE_INTERRUPT, tid, 0, 0) }

// PtraceDetach is PTRACE_DETACH with a signal.
func PtraceDetach(tid int32, sig unix.Signal) unix.Errno {
	return ptrace(unix.PTRACE_DETACH, tid, 0, uintptr(sig))
}

// PtraceResume is PTRACE_CONT, PTRACE_SYSCALL or PTRACE_LISTEN, with a signal.
func PtraceResume(how int, tid int32, sig unix.Signal) unix.Errno {
	return ptrace(how, tid, 0, uintptr(sig))
}

// PtraceSetOptions is PTRACE_SETOPTIONS.
func PtraceSetOptions(tid int32, options int) unix.Errno {
	return ptrace(unix.PTRACE_SETOPTIONS, tid, 0, uintptr(options))
}

// PtracePokeReg is PTRACE_POKEUSER of one register, an index into arch.Regs.
func PtracePokeReg(tid int32, reg int, value uint64) unix.Errno {
	return ptrace(unix.PTRACE_POKEUSR, tid, uintptr(reg)*unsafe.Sizeof(value), uintptr(value))
}

// PtraceGetRegs is PTRACE_GETREGS.
func PtraceGetRegs(tid int32, regs *arch.Regs) unix.Errno {
	return ptrace(unix.PTRACE_GETREGS, tid, 0, uintptr(unsafe.Pointer(regs)))
}

// PtraceSetRegs is PTRACE_SETREGS.
func PtraceSetRegs(tid int32, regs *arch.Regs) unix.Errno {
	return ptrace(unix.PTRACE_SETREGS, tid, 0, uintptr(unsafe.Pointer(regs)))
}

// PtraceGetSigmask is PTRACE_GETSIGMASK, since 3.11: blocked signals, signal n as bit n-1.
func PtraceGetSigmask(tid int32) (uint64, unix.Errno) {
	var mask uint64
	errno := ptrace(unix.PTRACE_GETSIGMASK, tid, unsafe.Sizeof(mask), uintptr(unsafe.Pointer(&mask)))
	return mask, errno
}

// PtraceSetSigmask is PTRACE_SETSIGMASK, since 3.11.
func PtraceSetSigmask(tid int32, mask uint64) unix.Errno {
	return ptrace(unix.PTRACE_SETSIGMASK, tid, unsafe.Sizeof(mask), uintptr(unsafe.Pointer(&mask)))
}

// PtraceGetSiginfo is PTRACE_GETSIGINFO: what the signal of a signal-delivery-stop carries, in
// the layout of the tracer.
func PtraceGetSiginfo(tid int32, info *[128]byte) unix.Errno {
	return ptrace(unix.PTRACE_GETSIGINFO, tid, 0, uintptr(unsafe.Pointer(info)))
}

// PtraceEventMsg is PTRACE_GETEVENTMSG: at a seccomp stop the filter's return data.
func PtraceEventMsg(tid int32) (uint64, unix.Errno) {
	var msg uint64
	errno := ptrace(unix.PTRACE_GETEVENTMSG, tid, 0, uintptr(unsafe.Pointer(&msg)))
	return msg, errno
}

// PtraceSyscallInfo is struct ptrace_syscall_info { __u8 op; __u8 pad[3]; __u32 arch; __u64
// instruction_pointer; __u64 stack_pointer; union { ... struct { __u64 nr; __u64 args[6];
// __u32 ret_data; } seccomp; }; }, <linux/ptrace.h>.
type PtraceSyscallInfo struct {
	_       structs.HostLayout
	Op      uint8
	_       [3]byte
	Arch    uint32
	IP      uint64
	SP      uint64
	Nr      uint64
	Args    [6]uint64
	RetData uint32
	_       uint32
}

// PtraceGetSyscallInfo is PTRACE_GET_SYSCALL_INFO, since 5.3.
func PtraceGetSyscallInfo(tid int32, info *PtraceSyscallInfo) unix.Errno {
	return ptrace(unix.PTRACE_GET_SYSCALL_INFO, tid, unsafe.Sizeof(*info), uintptr(unsafe.Pointer(info)))
}

package ptrace

import (
	"encoding/binary"
	"structs"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
)

// request is ptrace(2) itself. RawSyscall: none of the requests made here blocks.
func request(what int, tid int32, addr, data uintptr) unix.Errno {
	_, _, errno := unix.RawSyscall6(unix.SYS_PTRACE, uintptr(what), uintptr(tid), addr, data, 0, 0)
	return errno
}

func getRegs(tid int32, regs *arch.Regs) unix.Errno {
	_, _, errno := unix.RawSyscall6(unix.SYS_PTRACE, unix.PTRACE_GETREGS, uintptr(tid), 0, uintptr(unsafe.Pointer(regs)), 0, 0)
	return errno
}

func setRegs(tid int32, regs *arch.Regs) unix.Errno {
	_, _, errno := unix.RawSyscall6(unix.SYS_PTRACE, unix.PTRACE_SETREGS, uintptr(tid), 0, uintptr(unsafe.Pointer(regs)), 0, 0)
	return errno
}

// getSigmask is PTRACE_GETSIGMASK, since 3.11: blocked signals, signal n as bit n-1.
func getSigmask(tid int32) (uint64, unix.Errno) {
	var mask uint64
	_, _, errno := unix.RawSyscall6(unix.SYS_PTRACE, unix.PTRACE_GETSIGMASK, uintptr(tid), unsafe.Sizeof(mask), uintptr(unsafe.Pointer(&mask)), 0, 0)
	return mask, errno
}

func setSigmask(tid int32, mask uint64) unix.Errno {
	_, _, errno := unix.RawSyscall6(unix.SYS_PTRACE, unix.PTRACE_SETSIGMASK, uintptr(tid), unsafe.Sizeof(mask), uintptr(unsafe.Pointer(&mask)), 0, 0)
	return errno
}

// getSiginfo is PTRACE_GETSIGINFO: what the signal of a signal-delivery-stop carries, in
// the layout of the tracer.
func getSiginfo(tid int32, info *[128]byte) unix.Errno {
	_, _, errno := unix.RawSyscall6(unix.SYS_PTRACE, unix.PTRACE_GETSIGINFO, uintptr(tid), 0, uintptr(unsafe.Pointer(info)), 0, 0)
	return errno
}

// sigmask is PTRACE_GETSIGMASK or PTRACE_SETSIGMASK, since 3.11.
func sigmask(what int, tid int32, mask *uint64) unix.Errno {
	_, _, errno := unix.RawSyscall6(unix.SYS_PTRACE, uintptr(what), uintptr(tid), unsafe.Sizeof(*mask), uintptr(unsafe.Pointer(mask)), 0, 0)
	return errno
}

// eventMsg is PTRACE_GETEVENTMSG: at a seccomp stop the filter's return data.
func eventMsg(tid int32) (uint64, unix.Errno) {
	var msg uint64
	_, _, errno := unix.RawSyscall6(unix.SYS_PTRACE, unix.PTRACE_GETEVENTMSG, uintptr(tid), 0, uintptr(unsafe.Pointer(&msg)), 0, 0)
	return msg, errno
}

// struct ptrace_syscall_info { __u8 op; __u8 pad[3]; __u32 arch; __u64
// instruction_pointer; __u64 stack_pointer; union { ... struct { __u64 nr; __u64
// args[6]; __u32 ret_data; } seccomp; }; }, <linux/ptrace.h>.
type syscallInfo struct {
	_       structs.HostLayout
	op      uint8
	_       [3]byte
	arch    uint32
	ip      uint64
	sp      uint64
	nr      uint64
	args    [6]uint64
	retData uint32
	_       uint32
}

// PTRACE_SYSCALL_INFO_SECCOMP, <linux/ptrace.h>.
const syscallInfoSeccomp = 3

// getSyscallInfo is PTRACE_GET_SYSCALL_INFO, since 5.3.
func getSyscallInfo(tid int32, info *syscallInfo) unix.Errno {
	_, _, errno := unix.RawSyscall6(unix.SYS_PTRACE, unix.PTRACE_GET_SYSCALL_INFO, uintptr(tid),
		unsafe.Sizeof(*info), uintptr(unsafe.Pointer(info)), 0, 0)
	return errno
}

// waitid is waitid(2) in the terms of wait4: tid 0 where nothing has come, with WNOHANG.
// Of siginfo_t for SIGCHLD: si_code at 8, si_pid at 16, si_status at 24.
func waitid(idType int, id int32, options int) (tid int32, status unix.WaitStatus, errno unix.Errno) {
	var info [128]byte
	_, _, errno = unix.Syscall6(unix.SYS_WAITID, uintptr(idType), uintptr(id), uintptr(unsafe.Pointer(&info)), uintptr(options), 0, 0)
	le := binary.LittleEndian
	const cldDumped = 3 // CLD_EXITED and CLD_KILLED are 1 and 2; what stops is above
	if code := le.Uint32(info[8:]); code > cldDumped {
		status = unix.WaitStatus(le.Uint32(info[24:])<<8 | 0x7f)
	}
	return int32(le.Uint32(info[16:])), status, errno
}

package amd64

import "github.com/pidfd-shim/pidfd-shim/arch"

// Args takes the arguments at their full 64-bit width, for x32 too: the kernel's
// 64-bit entry does not cut them (arch/x86/entry/syscall_64.c, do_syscall_x64).
func Args(f arch.Frame) arch.Args { return arch.Args(f.Raw) }

// Syscall names an amd64 number (arch/x86/entry/syscalls/syscall_64.tbl).
func Syscall(nr uint32) arch.Syscall {
	switch nr {
	case 62:
		return arch.Kill
	case 101:
		return arch.Ptrace
	case 129:
		return arch.RtSigqueueinfo
	case 157:
		return arch.Prctl
	case 200:
		return arch.Tkill
	case 234:
		return arch.Tgkill
	case 272:
		return arch.Unshare
	case 297:
		return arch.RtTgsigqueueinfo
	case 308:
		return arch.Setns
	case 317:
		return arch.Seccomp
	case 424:
		return arch.PidfdSendSignal
	case 446:
		return arch.LandlockRestrictSelf
	}
	return arch.NoSyscall
}

// SyscallX32 names an x32 number, given without its mark. Calls that take what x32 lays out
// as i386 does have numbers of their own from 512 on.
func SyscallX32(nr uint32) arch.Syscall {
	switch nr {
	case 101, 129, 297: // the 64-bit entries; an x32 caller uses 521, 524 and 536
		return arch.NoSyscall
	case 521:
		return arch.Ptrace
	case 524:
		return arch.RtSigqueueinfo
	case 536:
		return arch.RtTgsigqueueinfo
	}
	return Syscall(nr)
}

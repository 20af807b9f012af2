package amd64

import "github.com/pidfd-shim/pidfd-shim/arch"

// Args takes the arguments at their full 64-bit width, for x32 too: the kernel's
// 64-bit entry does not cut them (arch/x86/entry/syscall_64.c, do_syscall_x64).
func Args(f arch.Frame) arch.Args { return arch.Args(f.Raw) }

// Syscall names an amd64 number (arch/x86/entry/syscalls/syscall_64.tbl).
func Syscall(nr uint32) arch.Syscall {
	switch nr {
	case 0:
		return arch.Read
	case 2:
		return arch.Open
	case 3:
		return arch.Close
	case 9:
		return arch.Mmap
	case 11:
		return arch.Munmap
	case 16:
		return arch.Ioctl
	case 56:
		return arch.Clone
	case 61:
		return arch.Wait4
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
	case 247:
		return arch.Waitid
	case 257:
		return arch.Openat
	case 272:
		return arch.Unshare
	case 292:
		return arch.Dup3
	case 293:
		return arch.Pipe2
	case 297:
		return arch.RtTgsigqueueinfo
	case 308:
		return arch.Setns
	case 317:
		return arch.Seccomp
	case 319:
		return arch.MemfdCreate
	case 424:
		return arch.PidfdSendSignal
	case 434:
		return arch.PidfdOpen
	case 435:
		return arch.Clone3
	case 438:
		return arch.PidfdGetfd
	case 446:
		return arch.LandlockRestrictSelf
	}
	return arch.NoSyscall
}

// SyscallX32 names an x32 number, given without its mark. Calls that take what x32 lays out
// as i386 does have numbers of their own from 512 on.
func SyscallX32(nr uint32) arch.Syscall {
	switch nr {
	case 16, 101, 129, 247, 297: // the 64-bit entries; an x32 caller uses those below
		return arch.NoSyscall
	case 514:
		return arch.Ioctl
	case 521:
		return arch.Ptrace
	case 524:
		return arch.RtSigqueueinfo
	case 529:
		return arch.Waitid
	case 536:
		return arch.RtTgsigqueueinfo
	}
	return Syscall(nr)
}

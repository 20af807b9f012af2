package i386

import "github.com/pidfd-shim/pidfd-shim/arch"

// Args cuts each register to its low 32 bits, as the kernel's 32-bit entries do
// (arch/x86/include/asm/syscall_wrapper.h, SC_IA32_REGS_TO_ARGS): an int $0x80 from
// 64-bit code may leave anything in the upper halves.
func Args(f arch.Frame) arch.Args {
	var a arch.Args
	for i, raw := range f.Raw {
		a[i] = uint64(uint32(raw))
	}
	return a
}

// Syscall names an i386 number (arch/x86/entry/syscalls/syscall_32.tbl).
func Syscall(nr uint32) arch.Syscall {
	switch nr {
	case 3:
		return arch.Read
	case 5:
		return arch.Open
	case 6:
		return arch.Close
	case 7, 114: // waitpid, and wait4 itself
		return arch.Wait4
	case 26:
		return arch.Ptrace
	case 37:
		return arch.Kill
	case 54:
		return arch.Ioctl
	case 91:
		return arch.Munmap
	case 120:
		return arch.Clone
	case 172:
		return arch.Prctl
	case 178:
		return arch.RtSigqueueinfo
	case 192: // mmap2: the offset is in pages
		return arch.Mmap
	case 238:
		return arch.Tkill
	case 270:
		return arch.Tgkill
	case 284:
		return arch.Waitid
	case 295:
		return arch.Openat
	case 310:
		return arch.Unshare
	case 330:
		return arch.Dup3
	case 331:
		return arch.Pipe2
	case 335:
		return arch.RtTgsigqueueinfo
	case 346:
		return arch.Setns
	case 354:
		return arch.Seccomp
	case 356:
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

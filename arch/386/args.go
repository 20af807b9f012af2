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
	case 26:
		return arch.Ptrace
	case 37:
		return arch.Kill
	case 172:
		return arch.Prctl
	case 178:
		return arch.RtSigqueueinfo
	case 238:
		return arch.Tkill
	case 270:
		return arch.Tgkill
	case 310:
		return arch.Unshare
	case 335:
		return arch.RtTgsigqueueinfo
	case 346:
		return arch.Setns
	case 354:
		return arch.Seccomp
	case 424:
		return arch.PidfdSendSignal
	case 446:
		return arch.LandlockRestrictSelf
	}
	return arch.NoSyscall
}

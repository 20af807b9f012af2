package i386

import "github.com/pidfd-shim/pidfd-shim/arch"

// ArgumentRegs is where a 32-bit call has its arguments (syscall(2)); the sixth, ebp,
// is right at the stops that a tracer sees also for SYSENTER, whose entry reads it
// from the stack.
var ArgumentRegs = [6]int{arch.RegRBX, arch.RegRCX, arch.RegRDX, arch.RegRSI, arch.RegRDI, arch.RegRBP}

// Number is the i386 number of a call (arch/x86/entry/syscalls/syscall_32.tbl).
func Number(s arch.Syscall) uint64 {
	return [arch.SyscallCount]uint64{
		arch.Kill: 37, arch.RtSigqueueinfo: 178, arch.Tkill: 238, arch.Tgkill: 270,
		arch.Unshare: 310, arch.RtTgsigqueueinfo: 335, arch.Setns: 346, arch.PidfdSendSignal: 424,
		arch.LandlockRestrictSelf: 446, arch.Prctl: 172, arch.Seccomp: 354, arch.Ptrace: 26,
		arch.PidfdOpen: 434, arch.PidfdGetfd: 438, arch.Wait4: 114, arch.Waitid: 284, arch.Clone: 120, arch.Clone3: 435, arch.Ioctl: 54,
		arch.Mmap: 192, arch.Munmap: 91, arch.Pipe2: 331, arch.Read: 3, arch.Close: 6,
		arch.Open: 5, arch.Openat: 295, arch.Dup3: 330, arch.MemfdCreate: 356,
	}[s]
}

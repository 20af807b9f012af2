package amd64

import "github.com/pidfd-shim/pidfd-shim/arch"

// ArgumentRegs is where a 64-bit or x32 call has its arguments (syscall(2)).
var ArgumentRegs = [6]int{arch.RegRDI, arch.RegRSI, arch.RegRDX, arch.RegR10, arch.RegR8, arch.RegR9}

// Number is the amd64 number of a call (arch/x86/entry/syscalls/syscall_64.tbl).
func Number(s arch.Syscall) uint64 {
	return [arch.SyscallCount]uint64{
		arch.Kill: 62, arch.RtSigqueueinfo: 129, arch.Tkill: 200, arch.Tgkill: 234,
		arch.Unshare: 272, arch.RtTgsigqueueinfo: 297, arch.Setns: 308, arch.PidfdSendSignal: 424,
		arch.LandlockRestrictSelf: 446, arch.Prctl: 157, arch.Seccomp: 317, arch.Ptrace: 101,
		arch.PidfdOpen: 434, arch.PidfdGetfd: 438, arch.Wait4: 61, arch.Waitid: 247, arch.Clone: 56, arch.Clone3: 435, arch.Ioctl: 16,
		arch.Mmap: 9, arch.Munmap: 11, arch.Pipe2: 293, arch.Read: 0, arch.Close: 3,
		arch.Open: 2, arch.Openat: 257, arch.Dup3: 292, arch.MemfdCreate: 319,
	}[s]
}

// NumberX32 is the x32 number of a call, with its mark.
func NumberX32(s arch.Syscall) uint64 {
	switch s {
	case arch.Ioctl:
		return 514 | arch.X32SyscallBit
	case arch.Waitid:
		return 529 | arch.X32SyscallBit
	case arch.Ptrace:
		return 521 | arch.X32SyscallBit
	case arch.RtSigqueueinfo:
		return 524 | arch.X32SyscallBit
	case arch.RtTgsigqueueinfo:
		return 536 | arch.X32SyscallBit
	}
	return Number(s) | arch.X32SyscallBit
}

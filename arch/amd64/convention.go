package amd64

import "github.com/pidfd-shim/pidfd-shim/arch"

// ABI is the entry of the 64-bit ABI.
func ABI() arch.Convention {
	return arch.Convention{
		ABI: arch.AMD64, Audit: arch.AuditArchX86_64, Wide: true,
		Syscall: Syscall, Number: Number, Args: Args, ArgumentRegs: ArgumentRegs,
		DecodeSiginfo: arch.NativeSiginfo,
	}
}

// X32 is the entry of x32.
func X32() arch.Convention {
	return arch.Convention{
		ABI: arch.X32, Audit: arch.AuditArchX86_64, Mark: arch.X32SyscallBit, Wide: true,
		Syscall: SyscallX32, Number: NumberX32, Args: Args, ArgumentRegs: ArgumentRegs,
		DecodeSiginfo: DecodeSiginfoX32,
		Since:         "3.4", Callers: "x32 callers", Program: programX32,
	}
}

package i386

import "github.com/pidfd-shim/pidfd-shim/arch"

// ABI is the entry of the 32-bit ABI.
func ABI() arch.Convention {
	return arch.Convention{
		ABI: arch.I386, Audit: arch.AuditArchI386,
		Syscall: Syscall, Number: Number, Args: Args, ArgumentRegs: ArgumentRegs,
		DecodeSiginfo: DecodeSiginfo,
		Since:         "2.6", Callers: "32-bit callers", Program: program,
	}
}

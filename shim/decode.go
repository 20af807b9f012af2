package shim

import (
	"github.com/pidfd-shim/pidfd-shim/arch"
	i386 "github.com/pidfd-shim/pidfd-shim/arch/386"
	"github.com/pidfd-shim/pidfd-shim/arch/amd64"
)

// Decode turns the raw frame into the call's ABI, number and arguments, and names
// the system call. NoSyscall means a frame that no handler can be for; where even its
// architecture is unknown the ABI is 0 and the arguments are as the registers were.
func (c *Call) Decode() arch.Syscall {
	c.What = c.decode()
	return c.What
}

func (c *Call) decode() arch.Syscall {
	abi, known := c.Frame.ABI()
	c.ABI, c.Nr = abi, c.Frame.Nr
	if !known {
		c.Args = c.Frame.Raw
		return arch.NoSyscall
	}
	switch abi {
	case arch.I386:
		c.Args = i386.Args(c.Frame)
		return i386.Syscall(c.Nr)
	case arch.X32:
		c.Nr &^= arch.X32SyscallBit
		c.Args = amd64.Args(c.Frame)
		return amd64.SyscallX32(c.Nr)
	}
	c.Args = amd64.Args(c.Frame)
	return amd64.Syscall(c.Nr)
}

// NumberOf is a system call's number in an ABI, as its rax has it (arch/x86/entry/syscalls).
func NumberOf(what arch.Syscall, abi arch.ABI) uint64 {
	switch abi {
	case arch.I386:
		return i386.Number(what)
	case arch.X32:
		return amd64.NumberX32(what)
	}
	return amd64.Number(what)
}

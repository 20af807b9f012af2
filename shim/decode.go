package shim

import (
	"github.com/pidfd-shim/pidfd-shim/arch"
	i386 "github.com/pidfd-shim/pidfd-shim/arch/386"
	"github.com/pidfd-shim/pidfd-shim/arch/amd64"
)

// Decode turns the raw frame into the call's ABI, number and arguments, and names
// the system call. NoSyscall means a frame that no handler can be for.
func (c *Call) Decode() arch.Syscall {
	abi, known := c.Frame.ABI()
	if !known {
		return arch.NoSyscall
	}
	c.ABI = abi
	c.Nr = c.Frame.Nr
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

package shim

import (
	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/arch/abi"
)

// Decode turns the raw frame into the call's ABI, number and arguments, and names
// the system call. NoSyscall means a frame that no handler can be for; where even its
// architecture is unknown the ABI is 0 and the arguments are as the registers were.
func (c *Call) Decode() arch.Syscall {
	c.What = c.decode()
	return c.What
}

func (c *Call) decode() arch.Syscall {
	is, known := c.Frame.ABI()
	c.ABI, c.Nr = is, c.Frame.Nr
	if !known {
		c.Args = c.Frame.Raw
		return arch.NoSyscall
	}
	convention := abi.Of(is)
	c.Nr &^= convention.Mark
	c.Args = convention.Args(c.Frame)
	return convention.Syscall(c.Nr)
}

// NumberOf is a system call's number in an ABI, as its register has it.
func NumberOf(what arch.Syscall, in arch.ABI) uint64 { return abi.Of(in).Number(what) }

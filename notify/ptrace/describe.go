package ptrace

import (
	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/arch/abi"
	"github.com/pidfd-shim/pidfd-shim/internal/sys"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// The return data of the filter's RET_TRACE is the ABI: how kernels before 5.3 tell an
// int $0x80 of 64-bit code from a 64-bit call. A filter added inside can forge it: of
// two that say RET_TRACE the newer one's data counts.

// decoder tells what a stop is. It belongs to the tracer's thread.
type decoder struct {
	tagged   bool // as Tracer.Tagged, from the start or once the kernel has said so
	filtered bool // a filter may have been added inside: tags can be forged
}

// describe fills the call that a tracee stopped in. False: not one that our filter
// stopped, or not known which; without a tracer RET_TRACE is ENOSYS, so that is that.
func (d *decoder) describe(tid int32, c *shim.Call) bool {
	if d.tagged {
		return d.describeByTag(tid, c)
	}
	var info sys.PtraceSyscallInfo
	switch errno := sys.PtraceGetSyscallInfo(tid, &info); {
	case errno == unix.EIO || errno == unix.EINVAL: // before 5.3
		d.tagged = true
		return d.describeByTag(tid, c)
	case errno != 0 || info.Op != unix.PTRACE_SYSCALL_INFO_SECCOMP:
		return false
	}
	c.Frame = arch.Frame{Arch: info.Arch, Nr: uint32(info.Nr), IP: info.IP, Raw: info.Args}
	is, known := c.Frame.ABI()
	return known && info.RetData == uint32(is)
}

// describeByTag believes the tag as long as nobody inside can have added a filter, and
// from then on where the instruction says the same.
func (d *decoder) describeByTag(tid int32, c *shim.Call) bool {
	tag, errno := sys.PtraceEventMsg(tid)
	var regs arch.Regs
	if errno != 0 || sys.PtraceGetRegs(tid, &regs) != 0 {
		return false
	}
	said, known := abi.Tagged(tag)
	if !known {
		return false
	}
	c.Frame = arch.Frame{Arch: said.Audit, Nr: uint32(regs.Number()), IP: regs.IP(), Raw: regs.Pick(said.ArgumentRegs)}
	if is, _ := c.Frame.ABI(); is != said.ABI {
		return false
	}
	read := entryBytes(tid, &regs)
	c.Frame.Entry = abi.EntryOf(read, regs.Is64())
	return !d.filtered || abi.Agrees(said.ABI, read, regs.Is64())
}

// filters notes a call that can add a filter, before it has run.
func (d *decoder) filters(c *shim.Call) bool {
	what := c.Decode()
	if what != arch.Seccomp && what != arch.Prctl {
		return false
	}
	d.filtered = true
	return true
}

// entryBytes reads the four bytes before the address to which a call returns; fewer
// leave zeroes in front.
func entryBytes(tid int32, regs *arch.Regs) (code [4]byte) {
	ip := uintptr(regs.IP())
	for _, at := range [2]int{2, 0} { // the instruction itself first: it may begin a page
		remote := []unix.RemoteIovec{{Base: ip - 4 + uintptr(at), Len: 2}}
		local := []unix.Iovec{{Base: &code[at], Len: 2}}
		if n, err := unix.ProcessVMReadv(int(tid), local, remote, 0); err != nil || n != 2 {
			return code
		}
	}
	return code
}

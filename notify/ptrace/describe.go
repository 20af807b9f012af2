package ptrace

import (
	"golang.org/x/arch/x86/x86asm"
	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	i386 "github.com/pidfd-shim/pidfd-shim/arch/386"
	"github.com/pidfd-shim/pidfd-shim/arch/amd64"
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
	abi, known := c.Frame.ABI()
	return known && info.RetData == uint32(abi)
}

// describeByTag believes the tag as long as nobody inside can have added a filter, and
// from then on where the instruction says the same.
func (d *decoder) describeByTag(tid int32, c *shim.Call) bool {
	tag, errno := sys.PtraceEventMsg(tid)
	var regs arch.Regs
	if errno != 0 || sys.PtraceGetRegs(tid, &regs) != 0 {
		return false
	}
	c.Frame = arch.Frame{Arch: arch.AuditArchX86_64, Nr: uint32(regs[arch.RegOrigRAX]), IP: regs[arch.RegRIP]}
	order := amd64.ArgumentRegs
	if arch.ABI(tag) == arch.I386 {
		c.Frame.Arch, order = arch.AuditArchI386, i386.ArgumentRegs
	}
	c.Frame.Raw = regs.Pick(order)
	if abi, _ := c.Frame.ABI(); tag != uint64(abi) {
		return false
	}
	read, is64 := entryBytes(tid, &regs), regs[arch.RegCS] == userCS
	c.Frame.Entry = entryOf(read, is64)
	return !d.filtered || agrees(arch.ABI(tag), read, is64)
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

// userCS is the selector of 64-bit code, __USER_CS of <asm/segment.h>.
const userCS = 0x33

// entryBytes reads the four bytes before the address to which a call returns; fewer
// leave zeroes in front.
func entryBytes(tid int32, regs *arch.Regs) (code [4]byte) {
	ip := uintptr(regs[arch.RegRIP])
	for _, at := range [2]int{2, 0} { // the instruction itself first: it may begin a page
		remote := []unix.RemoteIovec{{Base: ip - 4 + uintptr(at), Len: 2}}
		local := []unix.Iovec{{Base: &code[at], Len: 2}}
		if n, err := unix.ProcessVMReadv(int(tid), local, remote, 0); err != nil || n != 2 {
			return code
		}
	}
	return code
}

// agrees tells whether the instruction makes calls of an ABI. Every 32-bit entry
// returns behind an int $0x80, that of the vdso or its own.
func agrees(abi arch.ABI, code [4]byte, is64 bool) bool {
	last := decodeEntry(code[2:], is64)
	if abi == arch.I386 {
		return last == arch.EntryInt80
	}
	return is64 && last == arch.EntrySyscall
}

// entryOf names the instruction: before the vdso's int $0x80 stands the one that is
// taken where it is not a restart. AMD's has a SYSCALL there, which x86asm, like Intel,
// knows in 64-bit code only.
func entryOf(code [4]byte, is64 bool) arch.Entry {
	last := decodeEntry(code[2:], is64)
	if last == arch.EntryInt80 && !is64 {
		if fast := decodeEntry(code[:2], true); fast == arch.EntrySysenter || fast == arch.EntrySyscall {
			return fast
		}
	}
	return last
}

func decodeEntry(code []byte, is64 bool) arch.Entry {
	mode := 32
	if is64 {
		mode = 64
	}
	inst, err := x86asm.Decode(code, mode)
	if err != nil || inst.Len != len(code) {
		return arch.EntryUnknown
	}
	switch {
	case inst.Op == x86asm.SYSCALL:
		return arch.EntrySyscall
	case inst.Op == x86asm.SYSENTER:
		return arch.EntrySysenter
	case inst.Op == x86asm.INT && inst.Args[0] == x86asm.Imm(0x80):
		return arch.EntryInt80
	}
	return arch.EntryUnknown
}

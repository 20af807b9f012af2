package ptrace

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/pidfd-shim/pidfd-shim/arch"
	"github.com/pidfd-shim/pidfd-shim/arch/abi"
	"github.com/pidfd-shim/pidfd-shim/internal/sys"
	"github.com/pidfd-shim/pidfd-shim/shim"
)

// Sandbox is a filter around us that answers calls before ours is listened to (seccomp(2):
// KILL, TRAP and ERRNO come before TRACE). Such a call is caught before that filter, at its entry
// stop, or after it has been trapped, at the signal's; its caller then makes another call in
// its place, which no sandbox refuses and at which our filter stops it. At that stop the caller
// has its own registers again, and all goes on as if it had been stopped there by itself.
type Sandbox struct {
	// Filter is what our filter says to a call: its action.
	Filter func(arch.Frame) uint32

	Entries bool // stop at the entry of every call
	Traps   bool // take the signals of trapped calls that are for us
	Enosys  bool // and let every other trapped call fail with ENOSYS
}

// The call that carries another one: close, of a descriptor that nobody has.
const (
	Carrier     = arch.Close
	CarrierMark = 0x70696466
)

// carried is a call of whose entry our filter is yet to tell.
type carried struct {
	before arch.Regs
	errno  unix.Errno // what our filter answers by itself
	mask   uint64     // signals wait until then, because a handler would begin with our registers
	closed bool
}

// SYS_SECCOMP of <asm-generic/siginfo.h>, and where its siginfo_t has what it is about.
const (
	sysSeccomp  = 1
	sysCallAddr = 16
	sysSyscall  = 24
	sysArch     = 28
)

// entered is a call's entry stop.
func (r *runs) entered(task *member) {
	var regs arch.Regs
	if sys.PtraceGetRegs(task.tid, &regs) != 0 {
		return // it was killed, and its end comes
	}
	if f, known := r.entering(task, &regs); known {
		r.carryIf(task, &regs, f)
	}
	r.resume(unix.PTRACE_SYSCALL, task.tid, 0)
}

// entering reads the call that a tracee stands at the entry of. Before 5.3 the instruction tells
// the ABI, which others may change meanwhile: then the call is the sandbox's.
func (r *runs) entering(task *member, regs *arch.Regs) (f arch.Frame, known bool) {
	var info sys.PtraceSyscallInfo
	if errno := sys.PtraceGetSyscallInfo(task.tid, &info); errno == 0 {
		task.inside = info.Op != unix.PTRACE_SYSCALL_INFO_EXIT
		f = arch.Frame{Arch: info.Arch, Nr: uint32(info.Nr), IP: info.IP, Raw: info.Args}
		return f, info.Op == unix.PTRACE_SYSCALL_INFO_ENTRY
	}
	by := abi.Made(entryBytes(task.tid, regs), regs.Is64())
	return arch.Frame{Arch: by.Audit, Nr: uint32(regs.Number()), IP: regs.IP(), Raw: regs.Pick(by.ArgumentRegs)}, true
}

// carryIf puts the carrier in the place of a call that our filter has something to say to.
func (r *runs) carryIf(task *member, regs *arch.Regs, f arch.Frame) {
	errno, ours := r.says(f)
	if ours {
		task.carried = &carried{before: *regs, errno: errno}
		task.carried.place(regs, f)
		_ = sys.PtraceSetRegs(task.tid, regs)
	}
}

// says is what our filter does with a call: it stops the caller (0), or answers with an errno.
func (r *runs) says(f arch.Frame) (errno unix.Errno, ours bool) {
	action := r.sandbox.Filter(f)
	switch action & unix.SECCOMP_RET_ACTION {
	case unix.SECCOMP_RET_TRACE:
		return 0, true
	case unix.SECCOMP_RET_ERRNO:
		return unix.Errno(action & unix.SECCOMP_RET_DATA), true
	}
	return 0, false
}

// place makes the call that the registers hold the carrier.
func (*carried) place(regs *arch.Regs, f arch.Frame) {
	in, _ := f.ABI()
	regs[abi.Of(in).ArgumentRegs[0]] = CarrierMark
	regs.SetNumber(shim.NumberOf(Carrier, in))
}

// arrived is our filter's stop for the carrier. False: our filter has the answer, and it was given.
func (r *runs) arrived(task *member) bool {
	c := task.carried
	task.carried = nil
	c.restore(task.tid, failure(unix.ENOSYS), c.before.Number())
	if c.errno == 0 {
		return true
	}
	_ = r.skip(task.tid, failure(c.errno))
	return false
}

// lost is where the sandbox refuses even the carrier: as a kernel without the call would.
func (r *runs) lost(task *member) {
	c := task.carried
	task.carried = nil
	c.restore(task.tid, failure(unix.ENOSYS), arch.NoCall)
	r.log.Error("the sandbox around us refuses close, by which calls reach us: the caller gets ENOSYS", "tid", task.tid)
	r.resume(unix.PTRACE_CONT, task.tid, 0)
}

// restore gives a caller its registers back, at the carrier's stop, and its signals.
func (c *carried) restore(tid int32, result, number uint64) {
	regs := c.before
	regs.SetResult(result)
	regs.SetNumber(number)
	_ = sys.PtraceSetRegs(tid, &regs)
	if c.closed {
		_ = sys.PtraceSetSigmask(tid, c.mask)
	}
}

// trapped is a SIGSYS that is about to be delivered. True: it is not, since a filter sent it for
// a call that we answer.
func (r *runs) trapped(task *member) bool {
	var info [128]byte
	var regs arch.Regs
	le := binary.LittleEndian
	if !r.sandbox.Traps || sys.PtraceGetSiginfo(task.tid, &info) != 0 || sys.PtraceGetRegs(task.tid, &regs) != 0 ||
		le.Uint32(info[8:]) != sysSeccomp || le.Uint64(info[sysCallAddr:]) != regs.IP() || le.Uint32(info[sysSyscall:]) != uint32(regs.Result()) {
		return false
	}
	if task.carried != nil {
		r.lost(task)
		return true
	}
	f := arch.Frame{Arch: le.Uint32(info[sysArch:]), Nr: le.Uint32(info[sysSyscall:]), IP: regs.IP()}
	in, _ := f.ABI()
	f.Raw = regs.Pick(abi.Of(in).ArgumentRegs)
	switch errno, ours := r.says(f); {
	case ours:
		r.again(task, &regs, f, errno)
	case r.sandbox.Enosys:
		regs.SetResult(failure(unix.ENOSYS))
		regs.SetNumber(arch.NoCall)
		_ = sys.PtraceSetRegs(task.tid, &regs)
	default:
		return false
	}
	r.resume(unix.PTRACE_CONT, task.tid, 0)
	return true
}

// again has the caller make its call once more, now the carrier. What was trapped has its number
// back where the result would be (kernel/seccomp.c, syscall_rollback).
func (r *runs) again(task *member, regs *arch.Regs, f arch.Frame, errno unix.Errno) {
	c := &carried{before: *regs, errno: errno}
	c.before.SetNumber(uint64(f.Nr))
	if mask, failed := sys.PtraceGetSigmask(task.tid); failed == 0 {
		c.mask, c.closed = mask, sys.PtraceSetSigmask(task.tid, ^uint64(0)) == 0
	}
	c.place(regs, f)
	regs.CallAgain(regs.IP(), regs.Number())
	_ = sys.PtraceSetRegs(task.tid, regs)
	task.carried = c
}

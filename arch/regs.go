package arch

// Regs is struct user_regs_struct of a 64-bit kernel (<asm/user_64.h>, <sys/user.h>):
// 27 words, the form in which PTRACE_GETREGS shows every tracee to a 64-bit tracer,
// 32-bit ones included.
//
//	r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi
//	orig_rax rip cs eflags rsp ss fs_base gs_base ds es fs gs
type Regs [27]uint64

// The words of Regs that a system call uses.
const (
	RegRBP     = 4
	RegRBX     = 5
	RegR10     = 7
	RegR9      = 8
	RegR8      = 9
	RegRAX     = 10
	RegRCX     = 11
	RegRDX     = 12
	RegRSI     = 13
	RegRDI     = 14
	RegOrigRAX = 15
	RegIP      = 16
	RegCS      = 17
	RegRSP     = 19
)

// The words that a tracer writes one by one.
const (
	RegNumber = RegOrigRAX
	RegResult = RegRAX
)

// NoCall is the number of no call: one that a task is in is skipped with it, and none is restarted.
const NoCall = ^uint64(0)

// Number is of the call that a task is in.
func (r *Regs) Number() uint64 { return r[RegNumber] }

// SetNumber makes it another, at the call's entry.
func (r *Regs) SetNumber(nr uint64) { r[RegNumber] = nr }

// Result is what a call has returned, in the stop at its exit.
func (r *Regs) Result() uint64 { return r[RegResult] }

// SetResult makes it another.
func (r *Regs) SetResult(value uint64) { r[RegResult] = value }

// IP is where a task goes on.
func (r *Regs) IP() uint64 { return r[RegIP] }

// Return takes over what a call changes by returning: its result, that it is over, and where the
// task goes on.
func (r *Regs) Return(from *Regs) {
	r[RegResult], r[RegNumber], r[RegIP] = from[RegResult], from[RegNumber], from[RegIP]
}

// CallAgain has a task that comes from a call execute its call instruction, which ends at ip, once
// more with a number, and none restarted.
func (r *Regs) CallAgain(ip, nr uint64) {
	r[RegIP] = ip - callInstruction
	r[RegResult], r[RegNumber] = nr, NoCall
}

// Is64 tells whether a task is in 64-bit code.
func (r *Regs) Is64() bool { return r[RegCS] == userCS }

// callInstruction is the length of syscall, sysenter and int $0x80 alike.
const callInstruction = 2

// userCS is the selector of 64-bit code, __USER_CS of <asm/segment.h>.
const userCS = 0x33

// Pick reads the arguments of a call from the registers that its ABI puts them in.
func (r *Regs) Pick(order [6]int) (args [6]uint64) {
	for i, reg := range order {
		args[i] = r[reg]
	}
	return args
}

// Place writes the arguments of a call into the registers of its ABI.
func (r *Regs) Place(order [6]int, args [6]uint64) {
	for i, reg := range order {
		r[reg] = args[i]
	}
}

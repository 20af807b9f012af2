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
	RegRIP     = 16
	RegCS      = 17
	RegRSP     = 19
)

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

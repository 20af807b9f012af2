#include "textflag.h"

// The life of a holder: see holder.go, whose struct R12 points to. It shares the stack
// of the thread that started it, and so touches none: no calls, no signals, only registers.

#define state 0
#define target 8
#define result 16
#define mask 24

#define SYS_futex 202
#define FUTEX_WAIT_PRIVATE 128
#define FUTEX_WAKE_PRIVATE 129

// func cloneHolder(h *holder) int64
TEXT ·cloneHolder(SB), NOSPLIT|NOFRAME, $0-16
	MOVQ h+0(FP), R12

	// Every signal blocked, for both: rt_sigprocmask(SIG_SETMASK, &everything, &mask, 8).
	MOVQ $2, DI
	LEAQ everything<>(SB), SI
	LEAQ mask(R12), DX
	MOVQ $8, R10
	MOVQ $14, AX
	SYSCALL

	// CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM
	MOVQ $0x50f00, DI
	MOVQ $0, SI
	MOVQ $0, DX
	MOVQ $0, R10
	MOVQ $0, R8
	MOVQ $56, AX
	SYSCALL
	TESTQ AX, AX
	JEQ idle

	MOVQ AX, ret+8(FP)
	MOVQ $2, DI
	LEAQ mask(R12), SI
	MOVQ $0, DX
	MOVQ $8, R10
	MOVQ $14, AX
	SYSCALL
	RET

idle: // holderIdle
	MOVL state(R12), AX
	CMPL AX, $1
	JEQ asked
	CMPL AX, $3
	JEQ ends
	MOVQ R12, DI
	MOVQ $FUTEX_WAIT_PRIVATE, SI
	MOVL AX, DX
	MOVQ $0, R10
	MOVQ $SYS_futex, AX
	SYSCALL
	JMP idle

asked: // ptrace(PTRACE_SEIZE, target, 0, PTRACE_O_TRACEEXIT)
	MOVQ $0x4206, DI
	MOVQ target(R12), SI
	MOVQ $0, DX
	MOVQ $0x40, R10
	MOVQ $101, AX
	SYSCALL
	MOVQ AX, result(R12)
	MOVL $2, AX
	XCHGL AX, state(R12)
	MOVQ R12, DI
	MOVQ $FUTEX_WAKE_PRIVATE, SI
	MOVQ $1, DX
	MOVQ $SYS_futex, AX
	SYSCALL
	JMP idle // which waits while the state is holderSeized

ends:
	MOVQ $0, DI
	MOVQ $60, AX
	SYSCALL
	INT $3

DATA everything<>+0(SB)/8, $0xffffffffffffffff
GLOBL everything<>(SB), RODATA|NOPTR, $8

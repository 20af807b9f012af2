//go:build !cgo

#include "textflag.h"

// pidfd_shim_born is what runs before the Go runtime in a pure build, as the constructor of
// cgo.go does: see pure_unsafe.go. It is called by the runtime's entry on the stack that the
// kernel has made, where argc is and argv follows, then the environment. It touches no Go
// state but our variables, and begins the entry again.
TEXT pidfd_shim_born(SB),NOSPLIT|NOFRAME,$0
	// The entry keeps argc and argv side by side: a word, and a pointer whose own
	// neighbour below is that word.
	LEAQ	8(SP), R8
	LEAQ	4096(SP), R9
	MOVL	$64, CX
find:
	MOVQ	8(R8), R12
	CMPQ	R12, SP
	JLS	other
	CMPQ	R12, R9
	JHS	other
	MOVQ	-8(R12), R13
	CMPQ	R13, (R8)
	JEQ	found
other:
	ADDQ	$8, R8
	DECL	CX
	JNE	find
	MOVL	$2, DI // a runtime that we do not know: the tests of this package tell
	LEAQ	unknown<>(SB), SI
	MOVL	$56, DX
	MOVL	$1, AX // write
	SYSCALL
	MOVL	$125, DI
	MOVL	$231, AX // exit_group
	SYSCALL
	INT	$3

found: // R12: argv, R13: argc
	MOVQ	$0, R8
command: // "run" anywhere, or a role of ours
	INCQ	R8
	CMPQ	R8, R13
	JGE	state
	MOVQ	(R12)(R8*8), AX
	CMPL	(AX), $0x006e7572 // "run"
	JEQ	ours
	CMPQ	R8, $1
	JNE	command
	CMPW	(AX), $0x5f5f // "__"
	JNE	command
ours:
	LEAQ	8(R12)(R13*8), R8
variable:
	MOVQ	(R8), AX
	ADDQ	$8, R8
	TESTQ	AX, AX
	JEQ	state
	CMPW	(AX), $0x4f47 // "GO": the runtime's variables, and others: see Environment
	JNE	variable
	MOVB	$1, (AX)
	JMP	variable

state:
	SUBQ	$64, SP
	XORL	DI, DI // SIG_BLOCK
	XORL	SI, SI
	LEAQ	·blocked(SB), DX
	MOVL	$8, R10
	MOVL	$14, AX // rt_sigprocmask
	SYSCALL
	MOVL	$64, R8
action:
	MOVQ	R8, DI
	XORL	SI, SI
	MOVQ	SP, DX
	MOVL	$8, R10
	MOVL	$13, AX // rt_sigaction
	SYSCALL
	TESTQ	AX, AX
	JNE	next
	CMPQ	(SP), $1 // SIG_IGN
	JNE	next
	LEAQ	-1(R8), AX
	MOVQ	·ignored(SB), BX
	BTSQ	AX, BX
	MOVQ	BX, ·ignored(SB)
next:
	DECQ	R8
	JNE	action
	MOVQ	$2, R8
descriptor:
	MOVQ	R8, DI
	MOVL	$1, SI // F_GETFD
	MOVL	$72, AX // fcntl
	SYSCALL
	TESTQ	AX, AX
	JGE	open
	MOVQ	·closed(SB), BX
	BTSQ	R8, BX
	MOVQ	BX, ·closed(SB)
open:
	DECQ	R8
	JGE	descriptor

	MOVQ	$0, _cgo_init(SB)
	LEAQ	-8(R12), SP
	XORL	DX, DX // as the kernel leaves it
	JMP	_rt0_amd64_linux(SB)

DATA unknown<>+0(SB)/8, $"pidfd-sh"
DATA unknown<>+8(SB)/8, $"im: star"
DATA unknown<>+16(SB)/8, $"t: built"
DATA unknown<>+24(SB)/8, $" with a "
DATA unknown<>+32(SB)/8, $"Go that "
DATA unknown<>+40(SB)/8, $"is unkno"
DATA unknown<>+48(SB)/8, $"wn here\n"
GLOBL unknown<>(SB), RODATA|NOPTR, $56

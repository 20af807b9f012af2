#include "textflag.h"

// handler(sig, info, context) runs on the thread's signal stack, with every
// signal blocked, whatever Go code was interrupted: it touches no Go state. The
// return address that the kernel pushed is the restorer's.
TEXT ·handler(SB),NOSPLIT|NOFRAME,$0
	CMPL	DI, $31 // SIGSYS
	JNE	caught
	CMPL	8(SI), $1 // SYS_SECCOMP: a filter around us does not let a call of ours through
	JNE	caught
	MOVQ	$-38, 144(DX) // its result, in rax of uc_mcontext: -ENOSYS
	RET
caught:
	CMPL	8(SI), $0 // si_code: positive means that the kernel made it
	JLE	note
	MOVL	DI, AX
	LEAQ	·goHandlers(SB), CX
	MOVQ	(CX)(AX*8), CX
	TESTQ	CX, CX
	JZ	note
	JMP	CX // a fault of our own code: the Go runtime's matter
note:
	CMPL	·notes(SB), $0
	JEQ	done
	MOVL	DI, R12
	MOVQ	SI, R13
	MOVQ	DX, BX
	MOVL	$186, AX // gettid
	SYSCALL
	CMPL	AX, ·taker(SB)
	JEQ	write

	// Another thread of the runtime's: from here on it has signals blocked
	// (uc_sigmask is at 296 in struct ucontext of <asm-generic/ucontext.h>).
	MOVQ	·notTaken(SB), CX
	ORQ	CX, 296(BX)
	CMPL	8(R13), $-1 // SI_QUEUE, which alone can be sent again as it was
	JNE	write
	MOVL	·ownPid(SB), DI
	MOVL	R12, SI
	MOVQ	R13, DX
	MOVL	$129, AX // rt_sigqueueinfo(front, sig, info)
	SYSCALL
	TESTQ	AX, AX
	JEQ	done
write:
	MOVL	·notes(SB), DI
	MOVQ	R13, SI
	MOVL	$128, DX
	MOVL	$1, AX // write(notes, info, 128)
	SYSCALL
done:
	RET

TEXT ·restorer(SB),NOSPLIT|NOFRAME,$0
	MOVL	$15, AX // rt_sigreturn
	SYSCALL
	INT	$3

// func handlerAddress() uintptr
TEXT ·handlerAddress(SB),NOSPLIT,$0-8
	LEAQ	·handler(SB), AX
	MOVQ	AX, ret+0(FP)
	RET

// func restorerAddress() uintptr
TEXT ·restorerAddress(SB),NOSPLIT,$0-8
	LEAQ	·restorer(SB), AX
	MOVQ	AX, ret+0(FP)
	RET

// func cloneSentinel() (pid int)
//
// The child shares our memory and descriptors and has the caller's stack pointer,
// so it never calls, pushes or returns. It has every signal blocked.
TEXT ·cloneSentinel(SB),NOSPLIT,$0-8
	MOVL	$0x500, DI // CLONE_VM|CLONE_FILES, no exit signal
	XORL	SI, SI
	XORL	DX, DX
	XORL	R10, R10
	XORL	R8, R8
	MOVL	$56, AX // clone
	SYSCALL
	TESTQ	AX, AX
	JZ	child
	MOVQ	AX, pid+0(FP)
	RET
child:
	MOVL	$1, DI // PR_SET_PDEATHSIG
	MOVL	$9, SI
	MOVL	$157, AX // prctl
	SYSCALL
	MOVL	$110, AX // getppid
	SYSCALL
	CMPQ	AX, ·shared+0(SB) // the front died before the prctl
	JNE	end
loop:
	MOVQ	·shared+8(SB), DI
	LEAQ	·shared+16(SB), SI
	MOVL	$8, DX
	XORL	AX, AX // read(fd, &set, 8)
	SYSCALL
	CMPQ	AX, $-4 // EINTR, as after a stop
	JEQ	loop
	CMPQ	AX, $8
	JNE	end
	LEAQ	·shared+16(SB), DI
	XORL	SI, SI
	LEAQ	·shared+32(SB), DX
	MOVL	$8, R10
	MOVL	$128, AX // rt_sigtimedwait(&set, NULL, &{0, 0}, 8)
	SYSCALL
	MOVQ	AX, ·shared+24(SB)
	MOVQ	·shared+8(SB), DI
	LEAQ	·shared+24(SB), SI
	MOVL	$8, DX
	MOVL	$1, AX // write(fd, &answer, 8)
	SYSCALL
	JMP	loop
end:
	XORL	DI, DI
	MOVL	$231, AX // exit_group
	SYSCALL
	INT	$3

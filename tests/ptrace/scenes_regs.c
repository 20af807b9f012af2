// All registers, before and after a call that was rewritten.
#include "tree.h"

#ifdef __x86_64__
#define REGS 16
// Fills every register from in, makes the call, stores them all in out. rax, rdi, rsi,
// rdx, r10 are in too; the stack pointer stays.
void fill_and_call(const unsigned long *in, unsigned long *out);
__asm__(".globl fill_and_call\nfill_and_call:\n"
	"push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15; push %rsi\n"
	"mov %rdi, %rax\n"
	"mov 8(%rax), %rbx; mov 16(%rax), %rcx; mov 24(%rax), %rdx; mov 32(%rax), %rsi; mov 40(%rax), %rdi\n"
	"mov 48(%rax), %rbp; mov 56(%rax), %r8; mov 64(%rax), %r9; mov 72(%rax), %r10; mov 80(%rax), %r11\n"
	"mov 88(%rax), %r12; mov 96(%rax), %r13; mov 104(%rax), %r14; mov 112(%rax), %r15; mov (%rax), %rax\n"
	"syscall\nreturn_here:\n"
	"push %rax; mov 8(%rsp), %rax\n"
	"mov %rbx, 8(%rax); mov %rcx, 16(%rax); mov %rdx, 24(%rax); mov %rsi, 32(%rax); mov %rdi, 40(%rax)\n"
	"mov %rbp, 48(%rax); mov %r8, 56(%rax); mov %r9, 64(%rax); mov %r10, 72(%rax); mov %r11, 80(%rax)\n"
	"mov %r12, 88(%rax); mov %r13, 96(%rax); mov %r14, 104(%rax); mov %r15, 112(%rax)\n"
	"pop %rcx; mov %rcx, (%rax)\n"
	"lea return_here(%rip), %rcx; sub 16(%rax), %rcx; mov %rcx, 16(%rax)\n" // 0: rcx was the return address
	"pop %rsi; pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx; ret\n");
enum { AX, BX, CX, DX, SI, DI, BP, R8, R9, R10 };
#else
#define REGS 7
void fill_and_call(const unsigned long *in, unsigned long *out);
__asm__(".globl fill_and_call\nfill_and_call:\n"
	"push %ebx; push %ebp; push %esi; push %edi\n"
	"mov 20(%esp), %eax\n"
	"mov 4(%eax), %ebx; mov 8(%eax), %ecx; mov 12(%eax), %edx; mov 16(%eax), %esi; mov 20(%eax), %edi\n"
	"mov 24(%eax), %ebp; mov (%eax), %eax\n"
	"int $0x80\n"
	"push %eax; mov 28(%esp), %eax\n"
	"mov %ebx, 4(%eax); mov %ecx, 8(%eax); mov %edx, 12(%eax); mov %esi, 16(%eax); mov %edi, 20(%eax)\n"
	"mov %ebp, 24(%eax); pop %ecx; mov %ecx, (%eax)\n"
	"pop %edi; pop %esi; pop %ebp; pop %ebx; ret\n");
enum { AX, BX, CX, DX, SI, DI, BP };
#endif

static void handler(int sig) { (void)sig; }

static void play_regs(char **args) {
	(void)args;
	signal(SIGUSR1, handler);
	signal(SIGCHLD, SIG_IGN);
	int fd = syscall(SYS_pidfd_open, getpid(), 0);
	static const int signals[] = {0, SIGUSR1, SIGWINCH, 99};
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
		unsigned long in[REGS], out[REGS] = {0};
		for (int r = 0; r < REGS; r++)
			in[r] = (unsigned long)0xa1b2c3d4e5f60700ULL + r;
		in[AX] = NR_SEND;
#ifdef __x86_64__
		in[DI] = fd, in[SI] = signals[i], in[DX] = 0, in[R10] = 0;
#else
		in[BX] = fd, in[CX] = signals[i], in[DX] = 0, in[SI] = 0;
#endif
		fill_and_call(in, out);
		say("CALL signal %d: %ld", signals[i], (long)out[AX]);
		for (int r = 1; r < REGS; r++)
			if (out[r] != in[r])
				say("register %d: %#lx became %#lx", r, r == DI || r == BX ? 0 : in[r], out[r]);
	}
}

const struct scene regs_scenes[] = {{"regs", play_regs}, {NULL, NULL}};

/* The six calls that signal, by every way into the kernel. */
#include "attack.h"

enum { X32 = 0x40000000 };

/* By way and call; 0: there is none. */
static const unsigned numbers[WAYS][CALLS] = {
#ifdef __x86_64__
	[BY_LIBC] = {424, 62, 200, 234, 129, 297},
	[BY_X32] = {X32 | 424, X32 | 62, X32 | 200, X32 | 234, X32 | 524, X32 | 536},
	[BY_X32_MIXED] = {0, 0, 0, 0, X32 | 129, X32 | 297}, /* kernels before 5.7 took these */
	[BY_X32_BARE] = {0, 0, 0, 0, 524, 536},              /* and these */
	[BY_FAR_JUMP] = {424, 37, 238, 270, 178, 335},
#else
	[BY_LIBC] = {424, 37, 238, 270, 178, 335},
#endif
	[BY_INT80] = {424, 37, 238, 270, 178, 335},
};

const char *const call_names[CALLS] = {"pidfd_send_signal", "kill", "tkill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo"};

#ifdef __x86_64__
/* A page that 32-bit code can reach, with the code that gets there and back. */
static struct low {
	unsigned char code[128];
	uint32_t regs[6], result;
	uint64_t stack_pointer;
	unsigned char info[128];
	unsigned char stack[1024];
} *low;

static unsigned char *put(unsigned char *at, const char *bytes, size_t n)
{
	memcpy(at, bytes, n);
	return at + n;
}

static unsigned char *put32(unsigned char *at, const void *address)
{
	uint32_t word = (uint32_t)(uintptr_t)address;
	memcpy(at, &word, 4);
	return at + 4;
}

static void make_low(void)
{
	static const char *const load[6] = {"\xa1", "\x8b\x1d", "\x8b\x0d", "\x8b\x15", "\x8b\x35", "\x8b\x3d"};
	if (low)
		return;
	low = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	must(low != MAP_FAILED, "mmap");
	unsigned char *at = low->code, *code32;
	at = put(at, "\x53\x55\x41\x54\x41\x55\x41\x56\x41\x57", 10);     /* push rbx, rbp, r12 to r15 */
	at = put32(put(at, "\x48\x89\x24\x25", 4), &low->stack_pointer);    /* mov [], rsp */
	at = put32(put(at, "\xbc", 1), low->stack + sizeof(low->stack) - 64); /* mov esp, */
	at = put(at, "\xb8\x2b\x00\x00\x00\x8e\xd8", 7);                   /* mov ds, 0x2b */
	at = put(at, "\x6a\x23\x68", 3);                                    /* push 0x23, push */
	code32 = at + 6;
	at = put(put32(at, code32), "\x48\xcb", 2); /* retfq: to the 32-bit code segment */
	for (int i = 0; i < 6; i++)
		at = put32(put(at, load[i], strlen(load[i])), &low->regs[i]);
	at = put(at, "\xcd\x80\xa3", 3); /* int 0x80; mov [], eax */
	at = put32(at, &low->result);
	at = put(put32(put(at, "\xea", 1), at + 7), "\x33\x00", 2);      /* ljmp 0x33: */
	at = put32(put(at, "\x48\x8b\x24\x25", 4), &low->stack_pointer); /* mov rsp, [] */
	put(at, "\x41\x5f\x41\x5e\x41\x5d\x41\x5c\x5d\x5b\xc3", 11);
}

static long far_jump(unsigned nr, const long *args)
{
	low->regs[0] = nr;
	for (int i = 0; i < 5; i++)
		low->regs[1 + i] = (uint32_t)args[i];
	((void (*)(void))(uintptr_t)low->code)();
	return (int32_t)low->result;
}

static long int80(unsigned nr, const long *args)
{
	long ret;
	__asm__ volatile("int $0x80"
	                 : "=a"(ret)
	                 : "a"((long)nr), "b"(args[0]), "c"(args[1]), "d"(args[2]), "S"(args[3]), "D"(args[4])
	                 : "memory", "r8", "r9", "r10", "r11");
	return (int32_t)ret;
}
#endif

/* A record that both widths read alike in what matters here: SI_QUEUE from us. */
static const void *record(enum way way, int sig)
{
	static _Thread_local siginfo_t own;
	int is32 = way == BY_INT80 || way == BY_FAR_JUMP || sizeof(long) == 4;
	unsigned char *at = (unsigned char *)&own;
#ifdef __x86_64__
	if (is32) {
		make_low();
		at = low->info;
	}
#endif
	int32_t words[7] = {sig, 0, SI_QUEUE};
	int from = is32 ? 3 : 4;
	words[from] = getpid();
	words[from + 1] = (int32_t)getuid();
	words[from + 2] = 1;
	memset(at, 0, sizeof(own));
	memcpy(at, words, sizeof(words));
	return at;
}

long enter(enum way way, unsigned nr, const long *args)
{
#ifdef __x86_64__
	if (way == BY_FAR_JUMP || way == BY_INT80)
		make_low();
	if (way == BY_FAR_JUMP)
		return far_jump(nr, args);
	if (way == BY_INT80)
		return int80(nr, args);
#else
	(void)way;
#endif
	return syscall(nr, args[0], args[1], args[2], args[3], args[4]) == 0 ? 0 : -errno;
}

long strike(enum way way, enum call call, const struct whom *at, int sig, unsigned flags)
{
	unsigned nr = numbers[way][call];
	if (nr == 0)
		return -ENOSYS;
	long info = (long)record(way, sig);
	const long args[CALLS][5] = {
		{at->fd, sig, flags & WITHOUT_INFO ? 0 : info, (long)(flags & ~WITHOUT_INFO)},
		{at->pid, sig},
		{at->tid, sig},
		{at->pid, at->tid, sig},
		{at->pid, sig, info},
		{at->pid, at->tid, sig, info},
	};
	return enter(way, nr, args[call]);
}

/* Which ways this kernel has: sig 0 to oneself. A filter may refuse that. */
int has_way(enum way way)
{
	struct whom self = {.pid = getpid()};
	return strike(way, KILL, &self, 0, 0) != -ENOSYS || way == BY_LIBC || way == BY_INT80;
}

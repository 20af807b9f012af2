/* The ways into the kernel: each with garbage where the kernel must not look. */
#include "truth.h"
#include <sys/auxv.h>

#ifdef __x86_64__

const char *const entry_name[ENTRIES] = {"syscall", "poisoned", "int80", "x32"};
const int entries = 3;

#define POISON 0xdefaced00000000ULL
#define DIRTY(v) (POISON | (uint32_t)(v))

static long enter64(uint64_t nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	int64_t ret;
	register uint64_t r10 __asm__("r10") = d;
	register uint64_t r8 __asm__("r8") = POISON;
	register uint64_t r9 __asm__("r9") = POISON;
	__asm__ volatile("syscall" : "=a"(ret)
		: "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
		: "rcx", "r11", "memory");
	return (long)ret;
}

/* int $0x80 from 64-bit code: the i386 table, and its siginfo layout. */
static long enter80(uint64_t nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	int64_t ret;
	__asm__ volatile("int $0x80" : "=a"(ret)
		: "a"(nr), "b"(a), "c"(b), "d"(c), "S"(d), "D"(POISON)
		: "r8", "r9", "r10", "r11", "memory");
	return (int)ret;
}

long send_raw(enum entry how, int fd, int sig, const void *info, unsigned flags)
{
	unsigned long at = (unsigned long)info;
	switch (how) {
	case POISONED:
		return enter64(SYS_OWN, DIRTY(fd), DIRTY(sig), at, DIRTY(flags));
	case COMPAT:
		return enter80(SYS_SEND, DIRTY(fd), DIRTY(sig), DIRTY(at), DIRTY(flags));
	case X32:
		return enter64(SYS_SEND | 0x40000000, (unsigned)fd, (unsigned)sig, at, flags);
	default:
		/* As a C library passes ints: sign-extended. */
		return enter64(SYS_OWN, (uint64_t)(int64_t)fd, (uint64_t)(int64_t)sig, at, flags);
	}
}

#else

const char *const entry_name[ENTRIES] = {"int80", "vdso", "none", "none"};
const int entries = 2;

static unsigned long vdso_entry;

static long enter80(long nr, long a, long b, long c, long d)
{
	long ret;
	__asm__ volatile("int $0x80" : "=a"(ret) : "a"(nr), "b"(a), "c"(b), "d"(c), "S"(d) : "memory");
	return ret;
}

/* __kernel_vsyscall: SYSENTER or SYSCALL, as the processor has it. */
static long enter_vdso(long nr, long a, long b, long c, long d)
{
	long ret;
	__asm__ volatile("call *vdso_entry" : "=a"(ret) : "a"(nr), "b"(a), "c"(b), "d"(c), "S"(d), "m"(vdso_entry) : "memory");
	return ret;
}

long send_raw(enum entry how, int fd, int sig, const void *info, unsigned flags)
{
	vdso_entry = getauxval(AT_SYSINFO);
	if (how == POISONED && vdso_entry)
		return enter_vdso(SYS_SEND, fd, sig, (long)info, (long)flags);
	return enter80(SYS_SEND, fd, sig, (long)info, (long)flags);
}

#endif

/* The call that the row is about. */
long send_row(enum entry how, int fd, int sig, const void *info, unsigned flags)
{
	before();
	long ret = send_raw(how, fd, sig, info, flags);
	after(ret);
	return ret;
}

// A process that signals itself, or another one, in either ABI and shows what
// arrives. It reads requests from stdin and answers each on stdout, until EOF.
// Built with -m64 it makes 64-bit calls by syscall(2) and i386 calls by int $0x80;
// built with -m32 it makes i386 calls only.
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PIDFD_SEND_SIGNAL 424
#define PIDFD_OPEN 434
#define I386_RT_SIGTIMEDWAIT 177

enum { NONE, NATIVE, COMPAT };

struct request {
	int32_t send, receive; // NONE, NATIVE or COMPAT
	int32_t pid;           // 0: this process
	int32_t sig;
	unsigned char info[128];
};

struct reply {
	int32_t pid;
	int32_t sent;     // 0 or -errno
	int32_t received; // signal number or -errno
	unsigned char info[128];
};

// arena lies below 4 GiB, where int $0x80 can point to.
static struct arena {
	unsigned char info[128];
	uint64_t mask;
	int32_t timeout32[2];
	int64_t timeout64[2];
} *arena;

static long compat(long nr, long a, long b, long c, long d)
{
#ifdef __x86_64__
	long result;
	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "a"(nr), "b"(a), "c"(b), "d"(c), "S"(d), "D"(0L)
			 : "memory", "r8", "r9", "r10", "r11", "cc");
	return (int32_t)result;
#else
	long result = syscall(nr, a, b, c, d);
	return result < 0 ? -errno : result;
#endif
}

static long native(long nr, long a, long b, long c, long d)
{
#ifdef __x86_64__
	long result = syscall(nr, a, b, c, d);
	return result < 0 ? -errno : result;
#else
	return -ENOSYS;
#endif
}

static int32_t send(const struct request *q)
{
	int fd = syscall(PIDFD_OPEN, q->pid ? q->pid : getpid(), 0);
	int32_t result;

	if (fd < 0)
		return -errno;
	memcpy(arena->info, q->info, sizeof arena->info);
	if (q->send == NATIVE)
		result = native(PIDFD_SEND_SIGNAL, fd, q->sig, (long)arena->info, 0);
	else
		result = compat(PIDFD_SEND_SIGNAL, fd, q->sig, (long)arena->info, 0);
	close(fd);
	return result;
}

static int32_t receive(const struct request *q, unsigned char *info)
{
	int32_t result;

	memset(arena->info, 0xa5, sizeof arena->info); // the kernel must overwrite all
	arena->mask = 1ULL << (q->sig - 1);
	if (q->receive == NATIVE)
		result = native(SYS_rt_sigtimedwait, (long)&arena->mask, (long)arena->info, (long)arena->timeout64, 8);
	else
		result = compat(I386_RT_SIGTIMEDWAIT, (long)&arena->mask, (long)arena->info, (long)arena->timeout32, 8);
	memcpy(info, arena->info, sizeof arena->info);
	return result;
}

static int all(ssize_t (*io)(int, void *, size_t), int fd, void *data, size_t size)
{
	for (char *at = data; size > 0;) {
		ssize_t n = io(fd, at, size);
		if (n <= 0)
			return 0;
		at += n;
		size -= n;
	}
	return 1;
}

static ssize_t put(int fd, void *data, size_t size) { return write(fd, data, size); }

int main(void)
{
	int low = 0;
	struct request q;
	uint64_t every = ~0ULL;

#ifdef __x86_64__
	low = MAP_32BIT;
#endif
	arena = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | low, -1, 0);
	if (arena == MAP_FAILED || syscall(SYS_rt_sigprocmask, SIG_SETMASK, &every, 0, 8) != 0)
		return 1;
	while (all(read, 0, &q, sizeof q)) {
		struct reply r = {.pid = getpid()};
		if (q.send != NONE)
			r.sent = send(&q);
		if (q.receive != NONE && r.sent == 0)
			r.received = receive(&q, r.info);
		if (!all(put, 1, &r, sizeof r))
			return 1;
	}
	return 0;
}

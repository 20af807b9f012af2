/* Receiving: by a handler, by rt_sigtimedwait and by a signalfd, all raw: the C
 * library's sigwaitinfo turns SI_TKILL into SI_USER. */
#include "truth.h"
#include <sys/signalfd.h>
#include <time.h>

const char *const recv_name[RECVS] = {"none", "handler", "sigwait", "signalfd", "async"};
int keep_chld;

enum { MOST = 24 };
static __thread struct {
	int n;
	unsigned char info[MOST][128];
} seen;
static __thread int seen_fd = -1;

static void mask(int how, uint64_t set)
{
	syscall(SYS_rt_sigprocmask, how, &set, NULL, 8);
}

void recv_unblock(void) { mask(SIG_SETMASK, 0); }

void recv_block(enum recv r)
{
	if (r != NONE && r != ASYNC)
		mask(SIG_SETMASK, ~0ULL);
}

#ifdef __x86_64__
void restore(void);
#ifdef __ILP32__
__asm__("restore: mov $0x40000201, %eax\n\tsyscall"); /* x32's own rt_sigreturn */
#else
__asm__("restore: mov $15, %eax\n\tsyscall");
#endif
#define RESTORER 0x04000000UL
#else
/* The kernel returns through its vdso. */
static void restore(void) {}
#define RESTORER 0UL
#endif

struct kernel_action {
	void (*fn)(int, siginfo_t *, void *);
	unsigned long flags;
	void (*restorer)(void);
	uint64_t mask;
} __attribute__((packed));

/* sigaction(2) for 32 and 33 too, which the C library keeps. */
int raw_action(int sig, void (*fn)(int, siginfo_t *, void *), unsigned long flags)
{
	struct kernel_action act = {fn, flags | SA_SIGINFO | RESTORER, restore, ~0ULL};
	return (int)syscall(SYS_rt_sigaction, sig, &act, NULL, 8);
}

void raw_ignore(int sig)
{
	struct kernel_action act = {(void *)SIG_IGN, 0, NULL, 0};
	syscall(SYS_rt_sigaction, sig, &act, NULL, 8);
}

void raw_reset_all(void)
{
	struct kernel_action act = {(void *)SIG_DFL, 0, NULL, 0};
	for (int sig = 1; sig <= 64; sig++)
		syscall(SYS_rt_sigaction, sig, &act, NULL, 8);
}

static void on_signal(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)context;
	if (seen.n < MOST)
		memcpy(seen.info[seen.n], info, 128);
	seen.n++;
}

void recv_prepare(enum recv r)
{
	uint64_t all = ~0ULL;
	recv_block(r);
	if (r == HANDLER || r == ASYNC)
		for (int sig = 1; sig <= 64; sig++)
			raw_action(sig, on_signal, SA_RESTART);
	if (r == SIGNALFD)
		seen_fd = (int)syscall(SYS_signalfd4, -1, &all, 8, SFD_NONBLOCK | SFD_CLOEXEC);
}

static int word(const unsigned char *b, int off)
{
	int v;
	memcpy(&v, b + off, 4);
	return v;
}

static const char *pid_text(int pid, char *buf)
{
	const char *who = pid_name(pid);
	if (who)
		return who;
	if (pid == 0)
		return "0";
	/* Too big or negative for a pid: as it was given. Else: somebody's. */
	snprintf(buf, 16, pid > 0 && pid < 1 << 22 ? "other" : "%d", pid);
	return buf;
}

/* The nine words from byte 12, trailing zeros cut, a participant's pid named. */
static void note_raw(enum slot s, const unsigned char *b, int pid_off)
{
	int last = 44;
	while (last >= 12 && word(b, last) == 0)
		last -= 4;
	note(s, " raw=");
	if (last < 12)
		note(s, "0");
	for (int off = 12; off <= last; off += 4) {
		int v = word(b, off);
		if (off == pid_off && v > 0 && v < 1 << 22)
			note(s, "(pid)");
		else
			note(s, "%08x", (unsigned)v);
		note(s, off < last ? "." : "");
	}
	for (int off = 48; off < 128; off += 4)
		if (word(b, off))
			note(s, " tail[%d]=%08x", off, (unsigned)word(b, off));
}

static void note_siginfo(enum slot s, const unsigned char *b)
{
	char buf[16];
	int pid = sizeof(long) == 4 ? 12 : 16;
	unsigned long value;
	memcpy(&value, b + pid + 8, sizeof(value));
	note(s, " {%s errno=%d code=%s pid=%s uid=%u value=%#lx", sig_name(word(b, 0)), word(b, 4),
	     code_name(word(b, 8)), pid_text(word(b, pid), buf), (unsigned)word(b, pid + 4), value);
	note_raw(s, b, pid);
	note(s, "}");
}

static void note_fdinfo(enum slot s, const struct signalfd_siginfo *f)
{
	char buf[16];
	note(s, " {%s errno=%d code=%s pid=%s uid=%u", sig_name((int)f->ssi_signo), f->ssi_errno,
	     code_name(f->ssi_code), pid_text((int)f->ssi_pid, buf), f->ssi_uid);
	note(s, " int=%#x ptr=%#llx fd=%d tid=%u band=%#x overrun=%u trapno=%u status=%d", (unsigned)f->ssi_int,
	     (unsigned long long)f->ssi_ptr, f->ssi_fd, f->ssi_tid, f->ssi_band, f->ssi_overrun, f->ssi_trapno, f->ssi_status);
	note(s, " utime=%#llx stime=%#llx addr=%#llx}", (unsigned long long)f->ssi_utime,
	     (unsigned long long)f->ssi_stime, (unsigned long long)f->ssi_addr);
}

static int child_died(int sig, int code)
{
	return sig == SIGCHLD && code >= 1 && code <= 6 && !keep_chld;
}

static int drain_wait(void)
{
	uint64_t all = ~0ULL;
	struct { __syscall_slong_t s, ns; } zero = {0, 0}; /* 64 bits each for x32 */
	unsigned char b[128];
	for (;;) {
		memset(b, 0, sizeof(b));
		if (syscall(SYS_rt_sigtimedwait, &all, b, &zero, 8) < 0)
			return seen.n;
		if (seen.n < MOST)
			memcpy(seen.info[seen.n], b, 128);
		seen.n++;
	}
}

static void collect_fd(enum slot s)
{
	struct signalfd_siginfo f;
	int n = 0;
	while (read(seen_fd, &f, sizeof(f)) == sizeof(f))
		if (!child_died((int)f.ssi_signo, f.ssi_code)) {
			note_fdinfo(s, &f);
			n++;
		}
	if (n)
		note(s, " signalfd=%d", n);
}

/* What has come since recv_prepare, in this thread or for its process. */
void recv_collect(enum recv r, enum slot s)
{
	if (r == NONE)
		return;
	if (r == SIGNALFD) {
		collect_fd(s);
		return;
	}
	if (r == SIGWAIT)
		drain_wait();
	else
		mask(SIG_SETMASK, 0);
	int n = 0;
	for (int i = 0; i < seen.n && i < MOST; i++)
		if (!child_died(word(seen.info[i], 0), word(seen.info[i], 8))) {
			note_siginfo(s, seen.info[i]);
			n++;
		}
	if (n)
		note(s, " %s=%d", recv_name[r], seen.n > MOST ? seen.n : n);
}

const char *sig_name(int sig)
{
	static char buf[4][24];
	static int next;
	char *b = buf[next++ & 3];
	const char *abbrev = sig > 0 && sig < 32 ? sigabbrev_np(sig) : NULL;
	if (abbrev)
		snprintf(b, sizeof(buf[0]), "SIG%s", abbrev);
	else
		snprintf(b, sizeof(buf[0]), "%d", sig);
	return b;
}

const char *code_name(int code)
{
	static const char *const names[] = {"SI_USER", "SI_QUEUE", "SI_TIMER", "SI_MESGQ", "SI_ASYNCIO", "SI_SIGIO", "SI_TKILL"};
	static char buf[16];
	if (code <= 0 && code >= -6)
		return names[-code];
	if (code == 0x80)
		return "SI_KERNEL";
	snprintf(buf, sizeof(buf), "%d", code);
	return buf;
}

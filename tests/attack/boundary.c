/*
 * Ways round the supervisor or the tracer: a listener of one's own that lets calls continue,
 * and a tracer of one's own at whom RET_TRACE stops, over tasks that the real one never got.
 * What they are for is struck at once through them. A listener is a hit by itself.
 */
#include "attack.h"
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

enum { NEW_LISTENER = 8, SEIZE = 0x4206, SETOPTIONS = 0x4200, OLDSETOPTIONS = 21, TRACESECCOMP = 0x80, X32 = 0x40000000 };

#define DIRTY ((long)(0xdefacedULL << 32)) /* 0 where long has no upper half */

static struct sock_filter code[] = {
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	BPF_STMT(BPF_ALU | BPF_AND | BPF_K, (unsigned)~X32),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SEND_NR, 4, 0),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_kill, 3, 0),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_tgkill, 2, 0),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigqueueinfo, 1, 0),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
};
enum { LENGTH = sizeof(code) / sizeof(code[0]) };
static struct sock_fprog wide = {LENGTH, code};
static struct {
	unsigned short len;
	unsigned filter;
} narrow = {.len = LENGTH};

/* By way: seccomp and ptrace; 0: there is none. */
static const unsigned numbers[WAYS][2] = {
#ifdef __x86_64__
	[BY_LIBC] = {317, 101},
	[BY_X32] = {X32 | 317, X32 | 521},
	[BY_X32_MIXED] = {0, X32 | 101},
	[BY_X32_BARE] = {0, 521},
	[BY_FAR_JUMP] = {354, 26},
#else
	[BY_LIBC] = {354, 26},
#endif
	[BY_INT80] = {354, 26},
};

static long by(enum way way, int which, long a, long b, long c, long d)
{
	const long args[5] = {a, b, c, d, 0};
	unsigned nr = numbers[way][which];
	return nr ? enter(way, nr, args) : -ENOSYS;
}

/* Lets every call of its children continue, until there is none. */
static void let_continue(int listener)
{
	struct seccomp_notif call;
	struct pollfd p = {listener, POLLIN, 0};
	while (waitpid(-1, NULL, WNOHANG) == 0) {
		if (poll(&p, 1, 10) <= 0)
			continue;
		memset(&call, 0, sizeof(call));
		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) != 0)
			continue;
		struct seccomp_notif_resp answer = {.id = call.id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
		ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
	}
}

/* enter() tells success from failure alone: a listener is the lowest number that was free. */
static void own_listener(enum way way, long flags)
{
	int before = dup(0);
	close(before);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	narrow.filter = (unsigned)(uintptr_t)code;
	int is32 = way == BY_INT80 || way == BY_FAR_JUMP || sizeof(long) == 4;
	by(way, 0, SECCOMP_SET_MODE_FILTER, flags, is32 ? (long)&narrow : (long)&wide, 0);
	int hit = fcntl(before, F_GETFD) >= 0;
	attempted(hit);
	if (!hit)
		return;
	if (fork() == 0) {
		strike_all(&victim, counted, 1);
		_exit(0);
	}
	let_continue(before);
}

void listeners(void)
{
	for (enum way way = 0; way < WAYS; way++)
		for (long flags = NEW_LISTENER; flags <= 0x3f; flags += 8)
			if (flags & NEW_LISTENER && numbers[way][0]) {
				pid_t pid = fork();
				if (pid == 0) {
					own_listener(way, flags | (way == BY_LIBC ? DIRTY : 0));
					_exit(0);
				}
				reap(pid);
			}
}

/* How a task is made that our tracer is not to get. */
enum birth { CLONED, CLONED3, VFORKED, THREAD, BIRTHS };

struct untraced {
	enum birth birth;
	int traceme;
	volatile pid_t tid;
	volatile int go, ended;
};

static int strikes(void *arg)
{
	struct untraced *u = arg;
	u->tid = (pid_t)syscall(SYS_gettid);
	if (u->traceme && ptrace(PTRACE_TRACEME, 0, 0, 0) == 0)
		__asm__ volatile("int3");
	while (!u->go)
		sched_yield();
	strike_all(&victim, counted, 1);
	u->ended = 1;
	syscall(SYS_exit, 0);
	return 0;
}

static char *stack(void)
{
	enum { SIZE = 1 << 17 };
	char *at = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	must(at != MAP_FAILED, "mmap");
	return at + SIZE;
}

/* A brother by CLONE_PARENT, born inside of a vfork. */
static int bears(void *arg)
{
	clone(strikes, stack(), CLONE_UNTRACED | CLONE_PARENT | SIGCHLD, arg);
	_exit(0);
}

static void bear(struct untraced *u)
{
	struct clone_args args = {.flags = CLONE_UNTRACED, .exit_signal = SIGCHLD};
	switch (u->birth) {
	case CLONED3:
		if (syscall(SYS_clone3, &args, sizeof(args)) == 0)
			strikes(u);
		break;
	case THREAD:
		clone(strikes, stack(), CLONE_UNTRACED | CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM, u);
		break;
	case VFORKED:
		reap(clone(bears, stack(), CLONE_UNTRACED | CLONE_VFORK | CLONE_VM | SIGCHLD, u));
		break;
	default:
		clone(strikes, stack(), CLONE_UNTRACED | SIGCHLD, u);
	}
	while (u->tid == 0)
		sched_yield();
}

/* Asks for the stops of RET_TRACE at once or, with a request, afterwards, and lets whatever
   stops go on: by CONT, or from one entry to the next. */
static void traces(struct untraced *u, enum way way, long request, int how)
{
	int status;
	if (u->traceme)
		waitpid(u->tid, &status, __WALL);
	else if (request == 0)
		by(way, 1, SEIZE, u->tid, 0, TRACESECCOMP);
	else
		by(way, 1, SEIZE, u->tid, 0, 0);
	if (request != 0)
		by(way, 1, request, u->tid, 0, TRACESECCOMP);
	u->go = 1;
	do
		ptrace(how, u->tid, 0, 0);
	while (waitpid(u->tid, &status, __WALL) == u->tid && WIFSTOPPED(status));
}

static void own_tracer(struct untraced *u, enum way way, long request, int how)
{
	pid_t other = 0;
	if (u->birth == THREAD && (other = fork()) == 0) { /* no process traces itself */
		while (u->tid == 0)
			sched_yield();
		traces(u, way, request, how);
		_exit(0);
	}
	bear(u);
	if (other == 0)
		traces(u, way, request, how);
	while (!u->ended)
		sched_yield();
	if (other)
		reap(other);
}

static void tracers(void)
{
	static const long requests[] = {0, SETOPTIONS, OLDSETOPTIONS};
	for (enum way way = 0; way < WAYS; way++)
		for (enum birth birth = 0; birth < BIRTHS; birth++)
			for (int r = 0; r < 6; r++) {
				struct untraced *u = shared(sizeof(*u));
				pid_t pid = numbers[way][1] ? fork() : -1;
				u->birth = birth;
				u->traceme = r > 3 && birth != THREAD;
				if (pid == 0) {
					own_tracer(u, way, requests[r % 3], r & 1 ? PTRACE_SYSCALL : PTRACE_CONT);
					_exit(0);
				}
				if (pid > 0)
					reap(pid);
				munmap(u, sizeof(*u));
			}
}

int boundary(void)
{
	const char *scene = word_option("scene");
	meet();
	if (!scene || strcmp(scene, "listeners") == 0)
		listeners();
	if (!scene || strcmp(scene, "tracers") == 0)
		tracers();
	return summary();
}

// What a program tries against its tracer: forged tags, listeners, tracing of its own.
#include "tree.h"
#include <linux/filter.h>
#include <linux/seccomp.h>

static int add_filter(int nr, unsigned action, unsigned flags) {
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, action),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {4, code};
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	int result = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
	return result < 0 ? -errno : result;
}

static void play_listener(char **args) {
	(void)args;
	int fd = add_filter(NR_SEND, SECCOMP_RET_USER_NOTIF, SECCOMP_FILTER_FLAG_NEW_LISTENER);
	say("listener: %s", fd < 0 ? strerrorname_np(-fd) : "ok");
}

// By the numbers of the other ABIs, from 64-bit code: an entry is an entry.
#ifdef __x86_64__
static void play_listener_numbers(char **args) {
	(void)args;
	static struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NR_SEND, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	static struct {
		unsigned short len;
		unsigned filter; // of a 32-bit program
	} compat = {.len = 4};
	static struct sock_fprog x32 = {4, code};
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	compat.filter = (unsigned)(unsigned long)code;
	must((unsigned long)&compat < 1UL << 32, "static data in low memory");
	long result = 354;
	__asm__ volatile("int $0x80" : "+a"(result)
		: "b"(SECCOMP_SET_MODE_FILTER), "c"(SECCOMP_FILTER_FLAG_NEW_LISTENER), "d"(&compat)
		: "memory", "cc", "r8", "r9", "r10", "r11");
	say("by int $0x80: %s", result < 0 ? strerrorname_np((int)-result) : "ok");
	result = syscall(0x40000000 | SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &x32);
	say("as x32: %s", result < 0 ? strerrorname_np(errno) : "ok");
	result = syscall(SYS_prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &x32); // takes no flags: no listener
	say("by prctl: %ld", result);
	say("call: %s", strerrorname_np(send_quietly(getpid(), 0, NULL)));
}
#else
static void play_listener_numbers(char **args) { (void)args; }
#endif

static void play_trace_other(char **args) {
	(void)args;
	say("filter: %d", add_filter(SYS_getppid, SECCOMP_RET_TRACE | atoi(args[0]), 0));
	long result = syscall(SYS_getppid);
	say("getppid: %ld %s", result < 0 ? result : 1, result < 0 ? strerrorname_np(errno) : "");
	call("beside it", getpid(), 0);
}

static void play_trace_own(char **args) {
	say("filter: %d", add_filter(NR_SEND, SECCOMP_RET_TRACE | atoi(args[0]), 0));
	say("call: %s", strerrorname_np(send_quietly(getpid(), 0, NULL)));
}

static void play_errno(char **args) {
	(void)args;
	say("filter: %d", add_filter(NR_SEND, SECCOMP_RET_ERRNO | EXDEV, 0));
	say("call: %s", strerrorname_np(send_quietly(getpid(), 0, NULL)));
}

static void play_allow(char **args) {
	(void)args;
	for (int i = 0; i < 3; i++)
		say("filter: %d", add_filter(NR_SEND, SECCOMP_RET_ALLOW, 0));
	call("under filters", getpid(), 0);
}

// A call by int $0x80: descriptor in ebx, signal in ecx, no siginfo, no flags. The
// registers of a 64-bit call name another descriptor and a signal that kills.
static int by_int80(int fd, int wrong) {
	int result;
#ifdef __x86_64__
	register long r10 __asm__("r10") = 0;
	long rdi = wrong, rsi = 0;
	__asm__ volatile("mov %[rsi], %%rsi\n int $0x80"
		: "=a"(result), "+D"(rdi), [rsi] "+r"(rsi)
		: "0"(NR_SEND), "b"(fd), "c"(0), "d"(0), "r"(r10)
		: "rsi", "memory", "cc", "r8", "r9", "r11");
#else
	(void)wrong;
	__asm__ volatile("int $0x80" : "=a"(result) : "0"(NR_SEND), "b"(fd), "c"(0), "d"(0), "S"(0) : "memory", "cc");
#endif
	return result;
}

static void play_int80(char **args) {
	int fd = syscall(SYS_pidfd_open, getpid(), 0);
	if (args[0])
		say("filter: %d", add_filter(NR_SEND, SECCOMP_RET_TRACE | atoi(args[0]), 0));
	say("CALL by int $0x80: %d", by_int80(fd, -1));
	say("CALL by int $0x80, bad descriptor: %d", by_int80(-1, fd));
}

static void play_ptrace(char **args) {
	(void)args;
	long result = ptrace(PTRACE_TRACEME, 0, 0, 0);
	say("traceme: %s", result ? strerrorname_np(errno) : "ok");
	pid_t pid = fork();
	if (pid == 0)
		for (;;)
			pause();
	result = ptrace(PTRACE_SEIZE, pid, 0, 0);
	say("seize: %s", result ? strerrorname_np(errno) : "ok");
	kill(pid, SIGKILL);
}

// Children that are to be, or to have, what they cannot.
static void play_traceme_child(char **args) {
	(void)args;
	pid_t pid = fork();
	if (pid == 0) {
		long result = ptrace(PTRACE_TRACEME, 0, 0, 0);
		say("traceme: %s", result ? strerrorname_np(errno) : "ok");
		call("untraced by its parent", getpid(), 0);
		_exit(3);
	}
	await("child", pid, WEXITED);
}

static int say_call(void *arg) {
	call(arg, getpid(), 0);
	return 5;
}

static void play_untraced(char **args) {
	(void)args;
	static char stack[1 << 16] __attribute__((aligned(16)));
	pid_t pid = clone(say_call, stack + sizeof stack, CLONE_UNTRACED | SIGCHLD, "untraced");
	must(pid > 0, "clone");
	await("untraced", pid, WEXITED);
}

static void play_strict(char **args) {
	(void)args;
	long result = prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
	int error = errno;
	if (write(1, "", 0) == 0)
		say("strict: %s", result ? strerrorname_np(error) : "ok");
	call("after it", getpid(), 0);
	syscall(SYS_exit, 0);
}

const struct scene guard_scenes[] = {
	{"listener", play_listener}, {"listener-numbers", play_listener_numbers}, {"trace-other", play_trace_other}, {"trace-own", play_trace_own},
	{"errno", play_errno}, {"allow", play_allow}, {"int80", play_int80}, {"ptrace", play_ptrace},
	{"traceme-child", play_traceme_child}, {"untraced", play_untraced}, {"strict", play_strict}, {NULL, NULL},
};

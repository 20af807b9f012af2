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

const struct scene guard_scenes[] = {
	{"listener", play_listener}, {"trace-other", play_trace_other}, {"trace-own", play_trace_own},
	{"errno", play_errno}, {"allow", play_allow}, {"int80", play_int80}, {"ptrace", play_ptrace}, {NULL, NULL},
};

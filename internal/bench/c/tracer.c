/*
 * tracer does the least that a C tracer can do for a call of pidfd_send_signal: a filter
 * says RET_TRACE, and the tracer answers at the stop. It validates nothing. It follows all
 * that the command starts, as it must to see their calls: so the target is traced, too, and
 * stops for each signal, even one that it ignores.
 *
 *   tracer run [--mode MODE] -- COMMAND...
 *
 * forward    take the descriptor, copy the siginfo, send, skip the call
 * continue   have the kernel run the call
 * caller     take the descriptor and its number, have the caller run kill instead
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/ptrace.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif

#define PIDFD_GET_INFO_64 _IOC(_IOC_READ | _IOC_WRITE, 0xff, 11, 64) /* Linux 6.13 */

enum { SIGINFO_SIZE = 128, CACHE = 4096, WORD = 8, ORIG_RAX = 15, RAX = 10 };

static pid_t child; /* the command */
static pid_t task;  /* what has stopped last */

static void die(const char *what)
{
	perror(what);
	exit(125);
}

static long request(long what, unsigned long addr, void *data)
{
	long r = syscall(SYS_ptrace, what, task, addr, data);

	if (r < 0)
		die("ptrace");
	return r;
}

static void install(void)
{
	struct sock_filter program[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_pidfd_send_signal, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = {sizeof program / sizeof *program, program};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog))
		die("filter");
}

/* The command waits for its tracer before it installs the filter. */
static void start(char **command)
{
	int ready[2];
	char c;

	if (pipe2(ready, O_CLOEXEC))
		die("pipe");
	child = fork();
	if (child < 0)
		die("fork");
	if (child == 0) {
		if (read(ready[0], &c, 1) != 1)
			die("read");
		install();
		execvp(command[0], command);
		die(command[0]);
	}
	task = child;
	request(PTRACE_SEIZE, 0, (void *)(PTRACE_O_TRACESECCOMP | PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL |
		PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE));
	if (write(ready[1], "", 1) != 1)
		die("start");
}

/* The next stop of whose (-1: of any task); the command's end is ours. */
static int stop(pid_t whose)
{
	int status;

	for (;;) {
		task = waitpid(whose, &status, __WALL);
		if (task < 0 && errno != EINTR)
			die("wait");
		if (task > 0 && WIFSTOPPED(status))
			return status;
		if (task == child)
			exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	}
}

static int cached_pidfd(void)
{
	static struct {
		pid_t tid;
		int fd;
	} cache[CACHE];
	int slot = task % CACHE;

	if (cache[slot].tid == task)
		return cache[slot].fd;
	if (cache[slot].tid)
		close(cache[slot].fd);
	cache[slot].tid = task;
	return cache[slot].fd = syscall(SYS_pidfd_open, task, 0);
}

static long forward(const struct ptrace_syscall_info *call)
{
	char info[SIGINFO_SIZE];
	struct iovec here = {info, sizeof info}, there = {(void *)call->seccomp.args[2], sizeof info};
	long result = 0;
	int fd = syscall(SYS_pidfd_getfd, cached_pidfd(), (int)call->seccomp.args[0], 0);

	if (fd < 0)
		return -errno;
	if (there.iov_base && process_vm_readv(task, &here, 1, &there, 1, 0) != sizeof info)
		result = -EFAULT;
	if (!result && syscall(SYS_pidfd_send_signal, fd, (int)call->seccomp.args[1], there.iov_base ? info : NULL, 0))
		result = -errno;
	close(fd);
	return result;
}

static void skip(long result)
{
	request(PTRACE_POKEUSR, ORIG_RAX * WORD, (void *)-1L);
	request(PTRACE_POKEUSR, RAX * WORD, (void *)result);
}

static void rewrite(const struct ptrace_syscall_info *call)
{
	struct { unsigned long mask, cgroup; unsigned pid, rest[11]; } info = {.mask = 1};
	struct user_regs_struct before, regs;
	int fd = syscall(SYS_pidfd_getfd, cached_pidfd(), (int)call->seccomp.args[0], 0);

	if (fd < 0 || ioctl(fd, PIDFD_GET_INFO_64, &info))
		die("the target's number");
	close(fd);
	request(PTRACE_GETREGS, 0, &before);
	regs = before;
	regs.orig_rax = SYS_kill;
	regs.rdi = info.pid;
	regs.rsi = call->seccomp.args[1];
	request(PTRACE_SETREGS, 0, &regs);
	request(PTRACE_SYSCALL, 0, NULL);
	stop(task);
	request(PTRACE_GETREGS, 0, &regs);
	before.rax = regs.rax;
	request(PTRACE_SETREGS, 0, &before);
}

int main(int argc, char **argv)
{
	const char *mode = "forward";
	char **command = argv + 2;

	if (argc > 4 && !strcmp(argv[2], "--mode")) {
		mode = argv[3];
		command += 2;
	}
	if (argc < 4 || strcmp(argv[1], "run") || !command[0] || strcmp(command[0], "--") || !command[1])
		return 2;
	start(command + 1);
	for (;;) {
		struct ptrace_syscall_info call;
		int status = stop(-1);

		if (status >> 8 != (SIGTRAP | PTRACE_EVENT_SECCOMP << 8)) {
			request(PTRACE_CONT, 0, status >> 16 ? NULL : (void *)(long)WSTOPSIG(status));
			continue;
		}
		request(PTRACE_GET_SYSCALL_INFO, sizeof call, &call);
		if (!strcmp(mode, "caller"))
			rewrite(&call);
		else if (strcmp(mode, "continue"))
			skip(forward(&call));
		request(PTRACE_CONT, 0, NULL);
	}
}

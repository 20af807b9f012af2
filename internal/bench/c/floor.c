/*
 * floor does the least that a C supervisor can do for a call of pidfd_send_signal.
 * It validates nothing: what the shim costs beyond it is the price of being right.
 *
 *   floor run [--mode MODE] -- COMMAND...
 *
 * continue   notify, let the kernel run the call
 * forward    notify, take the descriptor, copy the siginfo, send, answer
 * emulate    forward, and what a supervisor has to see that may not rely on the descriptor
 *            alone: both ids, whether the target drops the signal, that it is the same still
 * caller     notify, take the descriptor and its number, seize caller and target, answer,
 *            have the caller run kill instead, let go of both
 * errno      the filter answers EPERM
 * allow-nr   the filter allows by number
 * allow-args the filter allows after reading the arguments
 * allow-all  a filter of one instruction
 *
 * The arguments are those of pidfd-shim, so that it can stand in for it; then auto is
 * allow-nr, and of policies the one called deny is errno.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
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
#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV /* Linux 5.19 */
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif
#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS /* Linux 6.6 */
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64)
#define SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP (1UL << 0)
#endif

#define PIDFD_GET_INFO_64 _IOC(_IOC_READ | _IOC_WRITE, 0xff, 11, 64) /* Linux 6.13 */

enum { SIGINFO_SIZE = 128, CACHE = 4096, CALL_INSTRUCTION = 2 };

static pid_t child;

static void die(const char *what)
{
	fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
	_exit(125);
}

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define UNLESS(k, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, k, 0, skip)
#define ANSWER(action) BPF_STMT(BPF_RET | BPF_K, action)

static int seccomp(unsigned op, unsigned long flags, void *args)
{
	return syscall(SYS_seccomp, op, flags, args);
}

static int install(struct sock_filter *program, unsigned short length, unsigned long flags)
{
	struct sock_fprog prog = {length, program};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		die("no_new_privs");
	return seccomp(SECCOMP_SET_MODE_FILTER, flags, &prog);
}

static int install_action(unsigned action, unsigned long flags)
{
	struct sock_filter program[] = {
		LOAD(arch), UNLESS(0xc000003e, 3), /* AUDIT_ARCH_X86_64 */
		LOAD(nr), UNLESS(SYS_pidfd_send_signal, 1),
		ANSWER(action),
		ANSWER(SECCOMP_RET_ALLOW),
	};
	return install(program, sizeof program / sizeof *program, flags);
}

static int install_allow_args(void)
{
	/* The comparisons fail or do not matter: each path ends in ALLOW. */
	struct sock_filter program[] = {
		LOAD(arch), UNLESS(0xc000003e, 10),
		LOAD(nr), UNLESS(SYS_pidfd_send_signal, 8),
		LOAD(args[1]), UNLESS(0xffff, 0),
		LOAD(args[3]), UNLESS(0xffff, 0),
		LOAD(args[2]), UNLESS(0xffff, 0),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2]) + 4), UNLESS(0xffff, 0),
		ANSWER(SECCOMP_RET_ALLOW),
	};
	return install(program, sizeof program / sizeof *program, 0);
}

static int install_allow_all(void)
{
	struct sock_filter program[] = {ANSWER(SECCOMP_RET_ALLOW)};
	return install(program, 1, 0);
}

static int install_listener(void)
{
	int fd = install_action(SECCOMP_RET_USER_NOTIF,
				SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV);
	if (fd < 0 && errno == EINVAL)
		fd = install_action(SECCOMP_RET_USER_NOTIF, SECCOMP_FILTER_FLAG_NEW_LISTENER);
	return fd;
}

static void become(char **command)
{
	execvp(command[0], command);
	die(command[0]);
}

/* The command's end is ours, on kernels too where RECV would wait for ever. */
static void on_child(int sig)
{
	int status;

	(void)sig;
	if (waitpid(child, &status, WNOHANG) == child)
		_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

/*
 * The child shares our descriptors until it executes the command, so the listener
 * that it makes is ours, too.
 */
static int start(char **command)
{
	struct sigaction sa = {.sa_handler = on_child, .sa_flags = SA_NOCLDSTOP};
	sigset_t chld, old;
	int ready[2], listener;

	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, &old);
	sigaction(SIGCHLD, &sa, NULL);
	if (pipe2(ready, O_CLOEXEC))
		die("pipe");
	child = syscall(SYS_clone, (unsigned long)CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
	if (child < 0)
		die("clone");
	if (child == 0) {
		listener = install_listener();
		if (listener < 0)
			die("listener");
		if (write(ready[1], &listener, sizeof listener) != sizeof listener)
			die("write");
		sigprocmask(SIG_SETMASK, &old, NULL);
		become(command);
	}
	if (read(ready[0], &listener, sizeof listener) != sizeof listener)
		die("read");
	ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP); /* from 6.6 */
	sigprocmask(SIG_SETMASK, &old, NULL);
	return listener;
}

static int cached_pidfd(pid_t tid)
{
	static struct {
		pid_t tid;
		int fd;
	} cache[CACHE];
	int slot = tid % CACHE;

	if (cache[slot].tid == tid)
		return cache[slot].fd;
	if (cache[slot].tid)
		close(cache[slot].fd);
	cache[slot].tid = tid;
	return cache[slot].fd = syscall(SYS_pidfd_open, tid, 0);
}

static pid_t number_of(int fd);

/* Whether the target ignores a signal; one that it has blocked it keeps. */
static int ignores(pid_t pid, int sig)
{
	char text[4096], path[64], *blocked, *ignored;
	ssize_t n;
	int f;

	snprintf(path, sizeof path, "/proc/%d/status", pid);
	f = open(path, O_RDONLY | O_CLOEXEC);
	n = read(f, text, sizeof text - 1);
	close(f);
	if (n < 0)
		return 0;
	text[n] = 0;
	blocked = strstr(text, "\nSigBlk:");
	ignored = strstr(text, "\nSigIgn:");
	return blocked && ignored && !(strtoul(blocked + 8, NULL, 16) >> (sig - 1) & 1) &&
	       strtoul(ignored + 8, NULL, 16) >> (sig - 1) & 1;
}

/* A target that does not ignore the signal would have to be pinned: no case of ours has one. */
static void guard(pid_t caller, int fd, int sig)
{
	pid_t target = number_of(fd);

	if (number_of(cached_pidfd(caller)) < 0 || !ignores(target, sig) || number_of(fd) != target)
		die("guard");
}

static int forward(int listener, const struct seccomp_notif *req, int guarded)
{
	char info[SIGINFO_SIZE];
	struct iovec here = {info, sizeof info}, there = {(void *)req->data.args[2], sizeof info};
	int fd, error = 0;

	fd = syscall(SYS_pidfd_getfd, cached_pidfd(req->pid), (int)req->data.args[0], 0);
	if (fd < 0)
		return errno;
	if (there.iov_base && process_vm_readv(req->pid, &here, 1, &there, 1, 0) != sizeof info)
		error = EFAULT;
	if (!error && ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &req->id))
		error = errno;
	if (!error && guarded)
		guard(req->pid, fd, (int)req->data.args[1]);
	if (!error && syscall(SYS_pidfd_send_signal, fd, (int)req->data.args[1], there.iov_base ? info : NULL, 0))
		error = errno;
	close(fd);
	return error;
}

static void answer(int listener, struct seccomp_notif_resp *resp)
{
	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, resp) && errno != ENOENT)
		die("answer");
}

/* The number of a pidfd's process. */
static pid_t number_of(int fd)
{
	struct { unsigned long mask, cgroup; unsigned pid, rest[11]; } info = {.mask = 1};
	char text[1024], path[64], *line;
	ssize_t n;
	int f;

	if (!ioctl(fd, PIDFD_GET_INFO_64, &info))
		return info.pid;
	snprintf(path, sizeof path, "/proc/self/fdinfo/%d", fd);
	f = open(path, O_RDONLY | O_CLOEXEC);
	n = read(f, text, sizeof text - 1);
	close(f);
	if (n < 0)
		die(path);
	text[n] = 0;
	line = strstr(text, "\nPid:");
	return line ? atoi(line + 5) : -1;
}

static void trace(long request, pid_t tid, void *data)
{
	if (ptrace(request, tid, NULL, data))
		die("ptrace");
}

/* A tracee that is killed ends the benchmark. */
static int stop_of(pid_t tid)
{
	int status;

	while (waitpid(tid, &status, __WALL) < 0)
		if (errno != EINTR)
			die("wait");
	if (!WIFSTOPPED(status))
		exit(0);
	return status >> 16 ? 0 : WSTOPSIG(status);
}

/*
 * The caller stops on its way out of the wait, executes its instruction again with
 * other registers, is looked at on its way in, and put back on its way out.
 */
static void hop(int listener, const struct seccomp_notif *req, struct seccomp_notif_resp *resp)
{
	pid_t caller = req->pid, target;
	struct user_regs_struct before, regs;
	int fd;

	fd = syscall(SYS_pidfd_getfd, cached_pidfd(caller), (int)req->data.args[0], 0);
	if (fd < 0) {
		resp->error = -errno;
		answer(listener, resp);
		return;
	}
	target = number_of(fd);
	close(fd);
	trace(PTRACE_SEIZE, caller, (void *)PTRACE_O_TRACESYSGOOD);
	trace(PTRACE_SEIZE, target, NULL);
	if (ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &req->id))
		die("the call was interrupted");
	trace(PTRACE_INTERRUPT, caller, NULL);
	answer(listener, resp);
	stop_of(caller);
	trace(PTRACE_GETREGS, caller, &before);
	regs = before;
	regs.rip -= CALL_INSTRUCTION;
	regs.rax = SYS_kill;
	regs.orig_rax = -1;
	regs.rdi = target;
	regs.rsi = req->data.args[1];
	trace(PTRACE_SETREGS, caller, &regs);
	trace(PTRACE_SYSCALL, caller, NULL);
	stop_of(caller);
	trace(PTRACE_GETREGS, caller, &regs);
	if (regs.orig_rax != SYS_kill || regs.rdi != (unsigned long)target)
		die("another call");
	trace(PTRACE_SYSCALL, caller, NULL);
	stop_of(caller);
	trace(PTRACE_GETREGS, caller, &regs);
	before.rax = regs.rax;
	before.orig_rax = -1;
	trace(PTRACE_SETREGS, caller, &before);
	trace(PTRACE_DETACH, caller, NULL);
	trace(PTRACE_INTERRUPT, target, NULL);
	trace(PTRACE_DETACH, target, (void *)(long)stop_of(target));
}

enum how { CONTINUE, FORWARD, GUARDED, CALLER };

static void serve(int listener, enum how how)
{
	struct seccomp_notif_sizes sizes;
	struct seccomp_notif *req;
	struct seccomp_notif_resp *resp;

	if (seccomp(SECCOMP_GET_NOTIF_SIZES, 0, &sizes))
		die("notification sizes");
	req = calloc(1, sizes.seccomp_notif);
	resp = calloc(1, sizes.seccomp_notif_resp);
	if (!req || !resp)
		die("calloc");
	for (;;) {
		memset(req, 0, sizes.seccomp_notif);
		if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, req)) {
			if (errno == EINTR || errno == ENOENT)
				continue;
			die("receive");
		}
		resp->id = req->id;
		resp->error = how == FORWARD || how == GUARDED ? -forward(listener, req, how == GUARDED) : 0;
		resp->flags = how == CONTINUE ? SECCOMP_USER_NOTIF_FLAG_CONTINUE : 0;
		if (how == CALLER)
			hop(listener, req, resp);
		else
			answer(listener, resp);
	}
}

int main(int argc, char **argv)
{
	const char *mode = "auto";
	char **command = argv + 2;

	if (argc == 2 && !strcmp(argv[1], "version"))
		return 0;
	if (argc < 4 || strcmp(argv[1], "run"))
		return 2;
	for (; command[0] && command[1] && strcmp(command[0], "--"); command++) {
		if (!strncmp(command[0], "--audit=", 8))
			continue;
		if (!strcmp(command[0], "--mode"))
			mode = command[1];
		if (!strcmp(command[0], "--policy") && strstr(command[1], "deny"))
			mode = "errno";
		command++;
	}
	if (!command[0] || !command[1])
		return 2;
	command++;
	if (!strcmp(mode, "continue"))
		serve(start(command), CONTINUE);
	if (!strcmp(mode, "forward"))
		serve(start(command), FORWARD);
	if (!strcmp(mode, "emulate"))
		serve(start(command), GUARDED);
	if (!strcmp(mode, "caller"))
		serve(start(command), CALLER);

	int failed = -1;
	errno = EINVAL;
	if (!strcmp(mode, "errno"))
		failed = install_action(SECCOMP_RET_ERRNO | EPERM, 0);
	else if (!strcmp(mode, "auto") || !strcmp(mode, "allow-nr"))
		failed = install_action(SECCOMP_RET_ALLOW, 0);
	else if (!strcmp(mode, "allow-args"))
		failed = install_allow_args();
	else if (!strcmp(mode, "allow-all"))
		failed = install_allow_all();
	if (failed)
		die(mode);
	become(command);
}

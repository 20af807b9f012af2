/* Process descriptors: how one is had, what it says, and what it is not. One line a question;
   natively and under the shim they must be the same. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <pthread.h>
#include <unistd.h>

enum { OPEN = 434, SEND = 424, PIDFD = 3, WITH_PIDFD = 0x1000, THREAD = O_EXCL };

static const char *name(long r)
{
	return r < 0 ? strerrorname_np(errno) : "ok";
}
static int opened(int pid, unsigned flags) { return (int)syscall(OPEN, pid, flags); }
static int waits(int fd, int options, siginfo_t *info)
{
	memset(info, 0x5a, sizeof *info);
	return (int)syscall(SYS_waitid, PIDFD, fd, info, options, NULL);
}
/* ready waits up to ms for events, and says which came: POLLHUP is of 6.9, and a few ms late. */
static int ready(int fd, int ms)
{
	struct pollfd p = {fd, POLLIN | POLLOUT | POLLPRI, 0};
	poll(&p, 1, ms);
	return p.revents & ~POLLHUP;
}
static void hung(const char *what, int fd)
{
	struct pollfd p = {fd, POLLIN, 0};
	for (int i = 0; i < 500 && !(p.revents & POLLHUP); i++) {
		poll(&p, 1, 0);
		usleep(1000);
	}
	printf("%s: reaped %#x\n", what, p.revents);
}
/* A child that ends with status when the pipe's other end is closed. */
static pid_t child(int *go, int status)
{
	int p[2];
	if (pipe2(p, O_CLOEXEC))
		exit(90);
	pid_t pid = fork();
	if (pid == 0) {
		char c;
		close(p[1]);
		_exit(read(p[0], &c, 1) ? 91 : status);
	}
	close(p[0]);
	*go = p[1];
	return pid;
}

static void errors(void)
{
	static const struct { int pid; unsigned flags; } tries[] = {
		{0, 0}, {-1, 0}, {1 << 30, 0}, {1, 1}, {1, O_CLOEXEC}, {-1, 1}, {0, O_NONBLOCK}, {1 << 30, O_NONBLOCK | THREAD},
	};
	for (size_t i = 0; i < sizeof tries / sizeof *tries; i++)
		printf("open %d %#x: %s\n", tries[i].pid, tries[i].flags, name(opened(tries[i].pid, tries[i].flags)));
	struct rlimit old, none = {3, 3};
	getrlimit(RLIMIT_NOFILE, &old);
	none.rlim_max = old.rlim_max;
	setrlimit(RLIMIT_NOFILE, &none);
	printf("open at the limit: %s\n", name(opened(getpid(), 0)));
	int fd = 77;
	long r = syscall(SYS_clone, WITH_PIDFD | SIGCHLD, 0, &fd, 0, 0);
	if (r == 0)
		_exit(0);
	printf("clone at the limit: %s\n", name(r));
	printf("and no child: %s\n", name(waitpid(-1, NULL, 0)));
	setrlimit(RLIMIT_NOFILE, &old);
	siginfo_t info;
	printf("wait 0 WEXITED: %s %d\n", name(waits(-1, WEXITED, &info)), info.si_pid == 0);
	printf("wait closed: %s %d\n", name(waits(99, WEXITED, &info)), info.si_pid == 0);
	printf("wait file: %s %d\n", name(waits(0, WEXITED, &info)), info.si_pid == 0);
	printf("wait nothing: %s\n", name(waits(0, 0, &info)));
	printf("wait options: %s\n", name(waits(0, WEXITED | 0x100, &info)));
}

static void *stays(void *tid)
{
	*(volatile int *)tid = (int)syscall(SYS_gettid);
	for (;;)
		pause();
	return NULL;
}
static void threads(void)
{
	volatile int tid = 0;
	pthread_t t;
	pthread_create(&t, NULL, stays, (void *)&tid);
	while (!tid)
		sched_yield();
	printf("a thread: %s\n", name(opened(tid, 0)));
	int fd = opened(tid, THREAD);
	printf("by its own: %s\n", name(fd));
	siginfo_t info;
	printf("waited for: %s\n", name(waits(fd, WEXITED | WNOHANG, &info)));
	printf("sent to: %s\n", name(syscall(SEND, fd, 0, NULL, 0)));
	printf("ready: %#x\n", ready(fd, 0));
	close(fd);
}

static void one(unsigned flags)
{
	int go, self = opened(getpid(), flags);
	printf("%#x: self %d cloexec %d\n", flags, self, fcntl(self, F_GETFD));
	pid_t pid = child(&go, 7);
	int fd = opened(pid, flags), copy = dup(fd);
	siginfo_t info;
	printf("lowest %d, nonblocking %d\n", fd, !!(fcntl(fd, F_GETFL) & O_NONBLOCK));
	printf("alive: ready %#x, wait %s", ready(fd, 0), name(waits(fd, WEXITED | WNOHANG, &info)));
	printf(" %d\n", info.si_pid);
	if (flags & O_NONBLOCK) {
		printf("alive, not blocking: wait %s", name(waits(fd, WEXITED, &info)));
		printf(" %d\n", info.si_pid);
	}
	printf("signal 0: %s\n", name(syscall(SEND, fd, 0, NULL, 0)));
	close(go);
	printf("ended: ready %#x\n", ready(fd, 5000));
	printf("by the copy: ready %#x\n", ready(copy, 0));
	printf("looked at: %s", name(waits(fd, WEXITED | WNOWAIT, &info)));
	printf(" %d %d %d\n", info.si_pid == pid, info.si_status, info.si_code);
	printf("zombie: send %s, open %s\n", name(syscall(SEND, fd, SIGTERM, NULL, 0)), name(opened(pid, 0)));
	printf("taken: %s", name(waits(copy, WEXITED, &info)));
	printf(" %d %d\n", info.si_pid == pid, info.si_status);
	printf("again: %s", name(waits(fd, WEXITED, &info)));
	printf(" %d\n", info.si_pid);
	hung("once", fd);
	printf("gone: send %s, open %s\n", name(syscall(SEND, fd, 0, NULL, 0)), name(opened(pid, 0)));
	printf("self: ready %#x, wait %s\n", ready(self, 0), name(waits(self, WEXITED | WNOHANG, &info)));
	for (int i = 3; i < 64; i++)
		close(i);
}

static void cloned(const char *what, unsigned long flags)
{
	int *fd = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status = 0, p[2];
	*fd = 77;
	if (pipe(p))
		exit(92);
	fflush(stdout);
	long pid = syscall(SYS_clone, flags | WITH_PIDFD | SIGCHLD, 0, fd, 0, 0);
	if (pid == 0) { /* it is told, and has none itself */
		char c;
		close(p[1]);
		if (read(p[0], &c, 1))
			_exit(93);
		_exit(fcntl(*fd, F_GETFD) == -1 ? *fd : 94);
	}
	printf("%s: clone %s fd %d\n", what, name(pid), *fd);
	if (pid > 0) {
		siginfo_t info;
		printf("cloexec %d, ready %#x, signal 0 %s\n", fcntl(*fd, F_GETFD), ready(*fd, 0), name(syscall(SEND, *fd, 0, NULL, 0)));
		close(p[1]);
		printf("ended %#x", ready(*fd, 5000));
		printf(", wait %s", name(waits(*fd, WEXITED, &info)));
		printf(" %d\n", info.si_status);
		close(*fd);
	} else {
		printf("none: %s\n", name(waitpid(-1, &status, WNOHANG)));
	}
	munmap(fd, 4096);
	close(p[0]), close(p[1]);
}

static void badly(void)
{
	long pid = syscall(SYS_clone, WITH_PIDFD | SIGCHLD, 0, (void *)8, 0, 0);
	if (pid == 0)
		_exit(0);
	printf("clone into nowhere: %s, lowest %d\n", name(pid), dup(0));
}

/* A signal that comes while a child is being made is handled before or after. */
static void hears(int sig);
static void disturbed(void)
{
	struct sigaction act = {.sa_handler = hears, .sa_flags = SA_RESTART};
	struct itimerval often = {{0, 4000}, {0, 4000}}, never = {{0, 0}, {0, 0}};
	int good = 0;
	sigaction(SIGPROF, &act, NULL);
	setitimer(ITIMER_PROF, &often, NULL);
	for (int i = 0; i < 100; i++) {
		int fd = -1;
		siginfo_t info;
		long pid = syscall(SYS_clone, WITH_PIDFD | SIGCHLD, 0, &fd, 0, 0);
		if (pid == 0)
			_exit(0);
		good += pid > 0 && syscall(SEND, fd, 0, NULL, 0) == 0 && waits(fd, WEXITED, &info) == 0 && info.si_pid == pid;
		close(fd);
	}
	setitimer(ITIMER_PROF, &never, NULL);
	printf("disturbed: %d\n", good);
}

/* It goes where descriptors go. */
static void travels(void)
{
	int go, pair[2], back[2], fd;
	pid_t pid = child(&go, 3);
	fd = opened(pid, 0);
	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) || pipe(back))
		exit(95);
	fflush(stdout);
	pid_t other = fork();
	if (other == 0) {
		char byte, control[CMSG_SPACE(sizeof(int))];
		struct iovec iov = {&byte, 1};
		struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
		siginfo_t info;
		printf("inherited: send %s, ready %#x, wait %s\n", name(syscall(SEND, fd, 0, NULL, 0)), ready(fd, 0), name(waits(fd, WEXITED | WNOHANG, &info)));
		close(fd);
		printf("closed: send %s\n", name(syscall(SEND, fd, 0, NULL, 0)));
		if (recvmsg(pair[1], &m, 0) != 1)
			exit(96);
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof fd);
		printf("received: send %s\n", name(syscall(SEND, fd, 0, NULL, 0)));
		fflush(stdout);
		close(go);
		printf("received: ready %#x\n", ready(fd, 5000));
		fflush(stdout);
		_exit(0);
	}
	char byte = 0, control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec iov = {&byte, 1};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
	CMSG_FIRSTHDR(&m)->cmsg_level = SOL_SOCKET;
	CMSG_FIRSTHDR(&m)->cmsg_type = SCM_RIGHTS;
	CMSG_FIRSTHDR(&m)->cmsg_len = CMSG_LEN(sizeof fd);
	memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), &fd, sizeof fd);
	if (sendmsg(pair[0], &m, 0) != 1)
		exit(97);
	close(go);
	waitpid(other, NULL, 0);
	siginfo_t info;
	printf("ours: wait %s", name(waits(fd, WEXITED, &info)));
	printf(" %d\n", info.si_status);
	close(fd);
}

/* Whom it means, as procfs says; pos, flags, Pid and NSpid alone: some kernels say more. */
static void fdinfo(const char *what, const char *dir, int fd, pid_t pid)
{
	char path[64], line[256];
	int number;
	snprintf(path, sizeof path, "/proc/%s/fdinfo/%d", dir, fd);
	int info = open(path, O_RDONLY | O_CLOEXEC);
	FILE *f = fdopen(info, "r");
	printf("%s: fd %d cloexec %d", what, info, fcntl(info, F_GETFD));
	while (f && fgets(line, sizeof line, f)) {
		line[strcspn(line, "\n")] = 0;
		if (sscanf(line, "Pid: %d", &number) == 1 || sscanf(line, "NSpid: %d", &number) == 1)
			printf(" %.5s %d", line, number == pid ? 0x70696466 : number);
		else if (strncmp(line, "pos", 3) == 0 || strncmp(line, "flags", 5) == 0)
			printf(" %s", line);
	}
	printf("\n");
	if (f)
		fclose(f);
}
static void fdinfos(void)
{
	int go;
	char own[16];
	pid_t pid = child(&go, 5);
	int fd = opened(pid, 0), other = opened(pid, O_NONBLOCK);
	snprintf(own, sizeof own, "%d", getpid());
	fdinfo("fdinfo", "self", fd, pid);
	fdinfo("not blocking", own, other, pid);
	fdinfo("by a thread", "thread-self", other, pid);
	fdinfo("of a pipe", "self", go, pid);
	fdinfo("of none", "self", 99, pid);
	close(go);
	fdinfo("ended", "self", fd, pid);
	ready(fd, 5000);
	fdinfo("zombie", "self", fd, pid);
	waitpid(pid, NULL, 0);
	fdinfo("reaped", "self", fd, pid);
	fflush(stdout);
	if (fork() == 0) {
		fd = opened(getppid(), 0);
		fdinfo("in a child", "self", fd, getppid());
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
	close(fd), close(other);
}

/* Two ways to hear of it at once, and the signal that a wait is interrupted by. */
static volatile sig_atomic_t heard;
static void hears(int sig) { heard = sig; }
static void interrupted(int flags, const char *what)
{
	struct sigaction act = {.sa_handler = hears, .sa_flags = flags};
	sigaction(SIGALRM, &act, NULL);
	int go;
	pid_t pid = child(&go, 4);
	int fd = opened(pid, 0);
	heard = 0;
	pid_t us = getpid(), ends = fork();
	if (ends == 0) {
		usleep(30000);
		kill(us, SIGALRM);
		usleep(30000);
		_exit(0);
	}
	siginfo_t info;
	if (flags) {
		pid_t second = fork();
		if (second == 0) {
			usleep(60000);
			_exit(0);
		}
		close(go);
	}
	int r = waits(fd, WEXITED, &info);
	printf("%s: wait %s, heard or not needed %d\n", what, name(r), heard == SIGALRM || r == 0);
	close(go);
	if (r)
		waits(fd, WEXITED, &info);
	while (waitpid(-1, NULL, 0) > 0)
		;
	close(fd);
}

/* What somebody else looks at meanwhile: see family_test.go. */
static void says(const char *what)
{
	char line[256];
	int tracer = 0;
	FILE *status = fopen("/proc/self/status", "r");
	while (fgets(line, sizeof line, status))
		sscanf(line, "TracerPid: %d", &tracer);
	fclose(status);
	printf("%s %d\n", what, tracer);
	fflush(stdout);
}
static int many(int n)
{
	close(opened(getpid(), 0));
	says("ready");
	getchar();
	for (int i = 0; i < n; i++) {
		int fd = opened(getpid(), 0), copy = dup(fd);
		if (fd < 0 || copy < 0)
			return 98;
		close(fd);
		close(copy);
	}
	puts("dropped");
	fflush(stdout);
	getchar();
	return 0;
}
static int polls(void)
{
	int fd = opened(getppid(), 0);
	says("ready");
	struct pollfd p = {fd, POLLIN, 0};
	puts("polling");
	fflush(stdout);
	poll(&p, 1, -1);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc > 2)
		return many(atoi(argv[2]));
	if (argc > 1)
		return polls();
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	for (int i = 3; i < 64; i++)
		close(i);
	errors();
	threads();
	one(0);
	one(O_NONBLOCK);
	cloned("as fork", 0);
	cloned("shared", CLONE_FS);
	cloned("settid", CLONE_PARENT_SETTID);
	cloned("detached", 0x400000);
	badly();
	disturbed();
	travels();
	fdinfos();
	interrupted(0, "no restart");
	printf("rows end\n");
	return 0;
}

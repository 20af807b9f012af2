/*
 * Many callers that call as fast as they are answered.
 *
 *   load [--agent SOCKET ID METADATA] CALLERS SECONDS
 *
 * With --agent it is its own runtime: it installs the filter that runc would, and hands
 * the listener over as runc does. It prints "ready", starts its callers when its input
 * ends, and then prints one line: what each caller's calls came to.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CALLERS = 64, SYS_SEND = 424, SYS_OPEN = 434 };

static struct tally {
	unsigned long calls, errors;
	int last; /* errno */
	long slowest; /* ns */
} *tallies;

static void must(long ret, const char *what)
{
	if (ret >= 0)
		return;
	perror(what);
	exit(2);
}

static int install(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_SEND, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = {sizeof(code) / sizeof(code[0]), code};
	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
	long fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &prog);
	must(fd, "seccomp");
	return (int)fd;
}

static void hand_over(const char *path, const char *id, const char *metadata)
{
	static char text[4096];
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct iovec iov = {text, 0};
	union { char room[CMSG_SPACE(sizeof(int))]; struct cmsghdr align; } control = {{0}};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof(control.room)};
	int listener = install();
	iov.iov_len = (size_t)snprintf(text, sizeof(text),
		"{\"ociVersion\":\"1.0.2-dev\",\"fds\":[\"seccompFd\"],\"pid\":%d,\"metadata\":\"%s\",\"state\":"
		"{\"ociVersion\":\"1.0.2-dev\",\"id\":\"%s\",\"status\":\"creating\",\"pid\":%d,\"bundle\":\"/\"}}",
		getpid(), metadata, id, getpid());
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
	c->cmsg_level = SOL_SOCKET, c->cmsg_type = SCM_RIGHTS, c->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(c), &listener, sizeof(int));
	strncpy(addr.sun_path, path, sizeof(addr.sun_path) - 1);
	int s = socket(AF_UNIX, SOCK_STREAM, 0);
	must(s, "socket");
	must(connect(s, (struct sockaddr *)&addr, sizeof(addr)), "connect");
	must(sendmsg(s, &msg, 0), "sendmsg");
	close(listener); /* s stays open, as runc leaves it */
}

static long now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000L + t.tv_nsec;
}

static void call(struct tally *t, long until)
{
	long fd = syscall(SYS_OPEN, getppid(), 0), start, took;
	must(fd, "pidfd_open");
	do {
		start = now();
		long ret = syscall(SYS_SEND, fd, 0, NULL, 0);
		took = now() - start;
		if (ret)
			t->errors++, t->last = errno;
		t->calls++;
		if (took > t->slowest)
			t->slowest = took;
	} while (start + took < until);
	exit(0);
}

int main(int argc, char **argv)
{
	char c;
	if (argc > 4 && !strcmp(argv[1], "--agent")) {
		hand_over(argv[2], argv[3], argv[4]);
		argv += 4, argc -= 4;
	}
	int callers = argc == 3 ? atoi(argv[1]) : 0;
	if (callers < 1 || callers > CALLERS) {
		fprintf(stderr, "usage: load [--agent SOCKET ID METADATA] CALLERS SECONDS\n");
		return 2;
	}
	tallies = mmap(NULL, CALLERS * sizeof(*tallies), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	puts("ready");
	fflush(stdout);
	while (read(0, &c, 1) > 0)
		;
	long until = now() + atol(argv[2]) * 1000000000L;
	for (int i = 0; i < callers; i++) {
		pid_t pid = fork();
		must(pid, "fork");
		if (pid == 0)
			call(&tallies[i], until);
	}
	while (wait(NULL) > 0)
		;
	struct tally sum = {.calls = 0};
	unsigned long least = ~0UL;
	for (int i = 0; i < callers; i++) {
		struct tally *t = &tallies[i];
		sum.calls += t->calls, sum.errors += t->errors;
		sum.last = t->last ? t->last : sum.last;
		sum.slowest = t->slowest > sum.slowest ? t->slowest : sum.slowest;
		least = t->calls < least ? t->calls : least;
	}
	printf("calls=%lu least=%lu errors=%lu errno=%d slowest_us=%ld\n", sum.calls, least, sum.errors, sum.last, sum.slowest / 1000);
	return 0;
}

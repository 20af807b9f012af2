// Makes the calls that its standard input names and prints what each returned.
//
//	calls < LIST
//
// A line of LIST is: SYSCALL TARGET SIGNAL CODE VALUE FLAGS, numbers but for the first
// two. TARGET: self, child (of uid 1000), grandchild, reaped, or bad. CODE 9999: no
// siginfo; 9998: one at address 1; 9997: one whose si_signo is another signal.
// The output is a line a call: 0, or the errno.
//
// All targets ignore what they get, and each is the only member of its process group.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __x86_64__
#define VALUE_AT 24
#else
#define VALUE_AT 20
#endif

enum { SELF, CHILD, GRANDCHILD, REAPED, BAD, TARGETS };
static const char *names[TARGETS] = {"self", "child", "grandchild", "reaped", "bad"};
static int pids[TARGETS], fds[TARGETS];

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void ignore_all(void)
{
	for (int sig = 1; sig <= 64; sig++)
		if (sig != SIGKILL && sig != SIGSTOP && sig != SIGCHLD)
			signal(sig, SIG_IGN);
}

static int open_pidfd(int pid)
{
	int fd = syscall(SYS_pidfd_open, pid, 0);
	if (fd < 0)
		die("pidfd_open");
	return fd;
}

// Starts a process in a group of its own, and returns when it waits: until its parent
// closes the descriptor that it gets, or ends. A policy may deny every signal.
static int start(int uid, int *child_of_it, int *until)
{
	int ready[2], end[2];
	if (pipe(ready) || pipe2(end, O_CLOEXEC))
		die("pipe");
	int pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0) {
		int unused;
		close(end[1]);
		setpgid(0, 0);
		int below = child_of_it ? start(0, NULL, &unused) : 0;
		if (uid && (setgid(uid) || setuid(uid)))
			die("setuid");
		if (write(ready[1], &below, sizeof below) < 0)
			die("write");
		char c;
		_exit(read(end[0], &c, 1));
	}
	int below;
	if (read(ready[0], &below, sizeof below) != sizeof below)
		die("read");
	if (child_of_it)
		*child_of_it = below;
	close(ready[0]);
	close(ready[1]);
	close(end[0]);
	*until = end[1];
	return pid;
}

static long call(const char *what, int target, int sig, int code, int value, int flags)
{
	static unsigned char info[128];
	memset(info, 0, sizeof info);
	int signo = code == 9997 ? sig + 1 : sig, said = code >= 9997 ? SI_QUEUE : code;
	memcpy(info, &signo, 4);
	memcpy(info + 8, &said, 4);
	memcpy(info + VALUE_AT, &value, 4);
	void *at = code == 9999 ? NULL : code == 9998 ? (void *)1 : info;
	int pid = pids[target];
	if (!strcmp(what, "pidfd_send_signal"))
		return syscall(424, fds[target], sig, at, flags);
	if (!strcmp(what, "kill"))
		return syscall(SYS_kill, flags & 4 ? -pid : pid, sig);
	if (!strcmp(what, "tkill"))
		return syscall(SYS_tkill, pid, sig);
	if (!strcmp(what, "tgkill"))
		return syscall(SYS_tgkill, pid, pid, sig);
	if (!strcmp(what, "rt_sigqueueinfo"))
		return syscall(SYS_rt_sigqueueinfo, pid, sig, at);
	if (!strcmp(what, "rt_tgsigqueueinfo"))
		return syscall(SYS_rt_tgsigqueueinfo, pid, pid, sig, at);
	fprintf(stderr, "no such call: %s\n", what);
	exit(1);
}

int main(void)
{
	setsid();
	setpgid(0, 0);
	ignore_all();
	pids[SELF] = getpid();
	int reaped, rest;
	pids[CHILD] = start(1000, &pids[GRANDCHILD], &rest);
	pids[REAPED] = start(0, NULL, &reaped); // last: nobody else has a copy of reaped
	pids[BAD] = 0x7ffffff0;
	for (int i = 0; i < BAD; i++)
		fds[i] = open_pidfd(pids[i]);
	fds[BAD] = open("/dev/null", O_RDONLY);
	close(reaped);
	waitpid(pids[REAPED], NULL, 0);

	char what[32], who[32];
	int sig, code, value, flags;
	while (scanf("%31s %31s %d %d %d %d", what, who, &sig, &code, &value, &flags) == 6) {
		int target = 0;
		while (target < TARGETS && strcmp(names[target], who))
			target++;
		long ret = target < TARGETS ? call(what, target, sig, code, value, flags) : -1;
		printf("%d\n", ret < 0 ? errno : 0);
	}
	return 0;
}

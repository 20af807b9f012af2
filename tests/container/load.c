/*
 * Many callers that call as fast as they are answered.
 *
 *   load [--killable] [--siblings] [--agent SOCKET ID METADATA] [--queue|--plain|--silent] CALLERS SECONDS
 *
 * With --agent it is its own runtime: it installs the filter that runc would, and hands
 * the listener over as runc does; with --killable one that waits as newer runtimes' do, with
 * --siblings one that notifies of the older calls, too. It prints "ready", starts its callers when its input
 * ends, and then prints one line: what each caller's calls came to. With --queue each
 * caller sends numbered signals to a receiver of its own, which counts those that do not
 * come and those that come twice; without, signal 0 to its parent. --plain is --queue without
 * siginfo, so without numbers: the signals take turns, and each one's are counted. SECONDS may
 * be -1: until SIGUSR1. --silent: each makes one call, with a siginfo on a page that nobody ever
 * fills.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CALLERS = 64, SYS_SEND = 424, SYS_OPEN = 434, WAIT_KILLABLE_RECV = 1 << 5 };
enum { SIG_NUMBERED = 40, SIG_LAST = 61, KINDS = SIG_LAST - SIG_NUMBERED, NUMBERS = 1 << 24 };

static struct tally {
	unsigned long calls, errors;
	unsigned long got, doubled;
	unsigned long sent[KINDS], came[KINDS]; /* --plain */
	int last; /* errno */
	long slowest; /* ns */
} *tallies;

static int queueing, plain, silent, killable, siblings;
static volatile int *ended;

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
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_SEND, 5, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, siblings ? SYS_kill : SYS_SEND, 4, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, siblings ? SYS_tgkill : SYS_SEND, 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, siblings ? SYS_rt_sigqueueinfo : SYS_SEND, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, siblings ? SYS_rt_tgsigqueueinfo : SYS_SEND, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
	};
	struct sock_fprog prog = {sizeof(code) / sizeof(code[0]), code};
	unsigned long flags = SECCOMP_FILTER_FLAG_NEW_LISTENER | (killable ? WAIT_KILLABLE_RECV : 0);
	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
	long fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog);
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

static void on_end(int sig)
{
	(void)sig;
	*ended = 1;
}

static void ours(sigset_t *set)
{
	sigemptyset(set);
	for (int sig = SIG_NUMBERED; sig <= SIG_LAST; sig++)
		sigaddset(set, sig);
}

/* Lower signals are taken first, so the last one comes when all are there. */
static void receive(struct tally *t)
{
	static unsigned char seen[NUMBERS / 8];
	sigset_t set;
	siginfo_t info;
	ours(&set);
	for (int sig; (sig = sigwaitinfo(&set, &info)) != SIG_LAST;) {
		if (sig < 0)
			continue; /* EINTR: somebody has pinned us, see docs/FIDELITY.md */
		if (plain) {
			t->came[sig - SIG_NUMBERED]++;
			continue;
		}
		unsigned n = (unsigned)info.si_value.sival_int % NUMBERS;
		if (seen[n / 8] & 1 << n % 8)
			t->doubled++;
		else
			t->got++;
		seen[n / 8] |= (unsigned char)(1 << n % 8);
	}
	exit(0);
}

static pid_t receiver(struct tally *t)
{
	sigset_t set;
	ours(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	pid_t pid = fork();
	must(pid, "fork");
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		receive(t);
	}
	return pid;
}

static siginfo_t *silent_page(void)
{
	int fd = (int)syscall(SYS_userfaultfd, 0);
	struct uffdio_api api = {.api = UFFD_API};
	must(fd, "userfaultfd");
	must(ioctl(fd, UFFDIO_API, &api), "UFFDIO_API");
	void *at = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct uffdio_register range = {.range = {(unsigned long)at, 4096}, .mode = UFFDIO_REGISTER_MODE_MISSING};
	must(ioctl(fd, UFFDIO_REGISTER, &range), "UFFDIO_REGISTER");
	return at;
}

static void call(struct tally *t, long until)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* nobody calls on for a test that has ended */
	pid_t target = queueing ? receiver(t) : getppid();
	siginfo_t *none = silent ? silent_page() : NULL;
	siginfo_t info = {.si_signo = SIG_NUMBERED, .si_code = SI_QUEUE};
	long fd = syscall(SYS_OPEN, target, 0), start, took;
	must(fd, "pidfd_open");
	info.si_pid = getpid(), info.si_uid = getuid();
	do {
		int kind = plain ? (int)(t->calls % KINDS) : 0;
		info.si_value.sival_int = (int)t->calls;
		start = now();
		long ret = syscall(SYS_SEND, fd, queueing ? SIG_NUMBERED + kind : 0, queueing && !plain ? &info : none, 0);
		took = now() - start;
		if (ret)
			t->errors++, t->last = errno;
		t->sent[kind]++;
		t->calls++;
		if (took > t->slowest)
			t->slowest = took;
	} while (!*ended && (until < 0 || start + took < until));
	if (queueing) {
		kill(target, SIG_LAST);
		while (waitpid(target, NULL, 0) < 0)
			;
	}
	exit(0);
}

/* Of signals without numbers: more than were sent came twice. */
static void count(struct tally *t)
{
	for (int kind = 0; plain && kind < KINDS; kind++) {
		int more = t->came[kind] > t->sent[kind];
		t->got += more ? t->sent[kind] : t->came[kind];
		t->doubled += more ? t->came[kind] - t->sent[kind] : 0;
	}
}

int main(int argc, char **argv)
{
	char c;
	for (; argc > 1 && (!strcmp(argv[1], "--killable") || !strcmp(argv[1], "--siblings")); argv++, argc--)
		*(argv[1][2] == 'k' ? &killable : &siblings) = 1;
	if (argc > 4 && !strcmp(argv[1], "--agent")) {
		hand_over(argv[2], argv[3], argv[4]);
		argv += 4, argc -= 4;
	}
	if (argc > 1 && !strcmp(argv[1], "--silent"))
		silent = 1, argv++, argc--;
	plain = argc > 1 && !strcmp(argv[1], "--plain");
	if (plain || (argc > 1 && !strcmp(argv[1], "--queue"))) {
		queueing = 1, argv++, argc--;
		uid_t own = 100000 + (uid_t)getpid(); /* a user's queued signals are counted together */
		must(setresuid(own, own, own), "setresuid");
	}
	int callers = argc == 3 ? atoi(argv[1]) : 0;
	if (callers < 1 || callers > CALLERS) {
		fprintf(stderr, "usage: load [--killable] [--siblings] [--agent SOCKET ID METADATA] [--queue|--plain|--silent] CALLERS SECONDS\n");
		return 2;
	}
	tallies = mmap(NULL, (CALLERS + 1) * sizeof(*tallies), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ended = (volatile int *)&tallies[CALLERS];
	struct sigaction end = {.sa_handler = on_end, .sa_flags = SA_RESTART};
	sigaction(SIGUSR1, &end, NULL);
	alarm(20 * 60);
	puts("ready");
	fflush(stdout);
	while (read(0, &c, 1) > 0)
		;
	long seconds = atol(argv[2]), until = seconds < 0 ? -1 : now() + seconds * 1000000000L;
	for (int i = 0; i < callers; i++) {
		pid_t pid = fork();
		must(pid, "fork");
		if (pid == 0)
			call(&tallies[i], until);
	}
	int status, died = 0;
	while (wait(&status) > 0)
		died += status != 0;
	struct tally sum = {.calls = 0};
	unsigned long least = ~0UL;
	for (int i = 0; i < callers; i++) {
		struct tally *t = &tallies[i];
		count(t);
		sum.calls += t->calls, sum.errors += t->errors, sum.got += t->got, sum.doubled += t->doubled;
		sum.last = t->last ? t->last : sum.last;
		sum.slowest = t->slowest > sum.slowest ? t->slowest : sum.slowest;
		least = t->calls < least ? t->calls : least;
	}
	printf("calls=%lu least=%lu errors=%lu errno=%d slowest_us=%ld got=%lu doubled=%lu died=%d\n",
	       sum.calls, least, sum.errors, sum.last, sum.slowest / 1000, sum.got, sum.doubled, died);
	return 0;
}

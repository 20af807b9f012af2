/*
 * caller makes one kind of call in a loop and prints, as one JSON object, what a
 * call cost by its own clock. A call that returns anything but what was expected
 * ends it with status 1: a fast wrong answer is no result.
 *
 *   caller [-t MS | -n CALLS] [-c CALLERS] [-e ERRNO] KIND
 *
 * null, rt-null, usr-null and info are 424; kill-null, kill-usr, kill-own, kill-stop and
 * kill-kill are kill(2). The target of kill-stop has stopped, that of kill-kill has ended and
 * is not waited for: each call does its whole way, and the same.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif

enum { RTMIN = 34, MAX_CALLERS = 1024, PATIENCE = 120 };

static void die(const char *what)
{
	fprintf(stderr, "caller: %s: %s\n", what, strerror(errno));
	exit(1);
}

static long now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000L + t.tv_nsec;
}

/* The call under measurement. */
static struct {
	long nr, fd, sig, info;
	int error; /* what it must fail with; 0: it must not fail */
} call;

static siginfo_t info;

static inline void make_call(void)
{
	long r = syscall(call.nr, call.fd, call.sig, call.info, 0L);
	int got = r < 0 ? errno : 0;

	if (__builtin_expect(got != call.error, 0)) {
		fprintf(stderr, "caller: syscall %ld: %s, expected: %s\n", call.nr, strerror(got), strerror(call.error));
		exit(1);
	}
}

/*
 * The target ignores RTMIN, so nothing is queued and nobody is woken: what is measured is
 * the way to it. SIGUSR2 it has blocked: it has one, and gets no more. It dies with the
 * caller.
 */
static pid_t start_target(void)
{
	sigset_t rt, old;
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	pid_t pid;

	sigemptyset(&rt);
	sigaddset(&rt, RTMIN);
	sigprocmask(SIG_BLOCK, &rt, &old); /* the first signals may come before SIG_IGN */
	pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		sigaction(RTMIN, &ignore, NULL); /* discards what is queued */
		sigaddset(&old, SIGUSR2);
		sigprocmask(SIG_SETMASK, &old, NULL);
		for (;;)
			pause();
	}
	sigprocmask(SIG_SETMASK, &old, NULL);
	return pid;
}

/* The signal masks of a process, to see that the target has got past its set-up. */
static int ignores_rtmin(pid_t pid)
{
	char path[64], line[256];
	unsigned long ignored = 0, blocked = 1;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/status", pid);
	f = fopen(path, "re");
	if (!f)
		die(path);
	while (fgets(line, sizeof line, f)) {
		sscanf(line, "SigBlk: %lx", &blocked);
		sscanf(line, "SigIgn: %lx", &ignored);
	}
	fclose(f);
	return (ignored >> (RTMIN - 1) & 1) && !(blocked >> (RTMIN - 1) & 1);
}

static long resident_kib(pid_t pid)
{
	char path[64], line[256];
	long kib = -1;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/status", pid);
	f = fopen(path, "re");
	if (!f)
		return -1;
	while (fgets(line, sizeof line, f))
		sscanf(line, "VmRSS: %ld", &kib);
	fclose(f);
	return kib;
}

static void until_ready(const char *kind, pid_t target)
{
	siginfo_t state;

	if (!strcmp(kind, "kill-stop")) {
		kill(target, SIGSTOP);
		waitid(P_PID, target, &state, WSTOPPED | WNOWAIT);
	} else if (!strcmp(kind, "kill-kill")) {
		kill(target, SIGKILL);
		waitid(P_PID, target, &state, WEXITED | WNOWAIT);
	}
}

static void choose(const char *kind, pid_t target)
{
	call.nr = SYS_pidfd_send_signal;
	call.fd = syscall(SYS_pidfd_open, target, 0);
	if (call.fd < 0)
		die("pidfd_open");
	if (!strcmp(kind, "null")) {
		call.sig = 0;
	} else if (!strcmp(kind, "rt-null")) {
		call.sig = RTMIN;
	} else if (!strcmp(kind, "info")) {
		call.sig = RTMIN;
		info.si_signo = RTMIN;
		info.si_code = SI_QUEUE;
		info.si_pid = getpid();
		info.si_uid = getuid();
		info.si_value.sival_int = 4711;
		call.info = (long)&info;
	} else if (!strcmp(kind, "usr-null")) {
		call.sig = SIGUSR2;
	} else if (!strcmp(kind, "kill-null") || !strcmp(kind, "kill-usr") || !strcmp(kind, "kill-own")) {
		call.nr = SYS_kill;
		call.fd = strcmp(kind, "kill-own") ? target : getpid();
		call.sig = strcmp(kind, "kill-usr") ? 0 : SIGUSR2;
	} else if (!strcmp(kind, "kill-stop") || !strcmp(kind, "kill-kill")) {
		until_ready(kind, target);
		call.nr = SYS_kill;
		call.fd = target;
		call.sig = strcmp(kind, "kill-stop") ? SIGKILL : SIGSTOP;
	} else if (!strcmp(kind, "getppid")) {
		call.nr = SYS_getppid;
	} else {
		fprintf(stderr, "caller: no such kind: %s\n", kind);
		exit(2);
	}
}

/* Calls until the clock says end, looking at it every 32 calls. Returns how many. */
static long call_until(long end)
{
	long made = 0;

	do {
		for (int i = 0; i < 32; i++)
			make_call();
		made += 32;
	} while (now() < end);
	return made;
}

struct counts {
	long calls, ns, least, most, rss_half, rss_end;
};

/* One caller for a time: clock and loop in this process, a fifth of the time to warm up. */
static struct counts for_time(long ns)
{
	struct counts c = {0};
	long start;

	call_until(now() + ns / 5);
	start = now();
	c.calls = call_until(start + ns);
	c.ns = now() - start;
	c.least = c.most = c.calls;
	return c;
}

/* One caller for a number of calls, and the memory of its parent, the supervisor, on the way. */
static struct counts for_calls(long calls)
{
	struct counts c = {.calls = calls, .least = calls, .most = calls};
	long start = now();

	for (long i = 0; i < calls / 2; i++)
		make_call();
	c.rss_half = resident_kib(getppid());
	for (long i = calls / 2; i < calls; i++)
		make_call();
	c.ns = now() - start;
	c.rss_end = resident_kib(getppid());
	return c;
}

/* What the callers of for_many share. */
static struct shared {
	long end;
	long made[MAX_CALLERS];
} *shared;

static void one_of_many(int n, int ready, int go)
{
	char byte;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (int i = 0; i < 32; i++)
		make_call();
	if (write(ready, "", 1) != 1 || read(go, &byte, 1) != 0)
		_exit(1);
	do {
		make_call();
		shared->made[n]++;
	} while (now() < shared->end);
	_exit(0);
}

/* Many callers, started together when all are warm, ended by one clock. */
static struct counts for_many(int callers, long ns)
{
	struct counts c = {.least = -1};
	int ready[2], go[2], status;
	long start;
	char byte;

	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED || pipe(ready) || pipe(go))
		die("set up callers");
	for (int n = 0; n < callers; n++) {
		pid_t pid = fork();
		if (pid < 0)
			die("fork");
		if (pid == 0) {
			close(go[1]);
			one_of_many(n, ready[1], go[0]);
		}
	}
	close(ready[1]); /* callers that die early end the wait */
	for (int n = 0; n < callers; n++)
		if (read(ready[0], &byte, 1) != 1)
			die("wait for callers");
	start = now();
	shared->end = start + ns;
	close(go[1]);
	for (int n = 0; n < callers; n++)
		if (wait(&status) < 0 || status)
			die("a caller failed");
	c.ns = now() - start;
	for (int n = 0; n < callers; n++) {
		long made = shared->made[n];
		c.calls += made;
		if (c.least < 0 || made < c.least)
			c.least = made;
		if (made > c.most)
			c.most = made;
	}
	return c;
}

int main(int argc, char **argv)
{
	long ns = 20000000, calls = 0;
	int callers = 1, opt;
	struct counts c;
	pid_t target;

	while ((opt = getopt(argc, argv, "t:n:c:e:")) != -1) {
		switch (opt) {
		case 't': ns = atol(optarg) * 1000000; break;
		case 'n': calls = atol(optarg); break;
		case 'c': callers = atoi(optarg); break;
		case 'e': call.error = atoi(optarg); break;
		default: return 2;
		}
	}
	if (optind != argc - 1 || callers < 1 || callers > MAX_CALLERS)
		return 2;
	alarm(PATIENCE); /* an answer that never comes must not hang the benchmark */
	target = start_target();
	while (!ignores_rtmin(target))
		usleep(100);
	choose(argv[optind], target);
	c = calls ? for_calls(calls) : callers > 1 ? for_many(callers, ns) : for_time(ns);
	printf("{\"calls\":%ld,\"ns\":%ld,\"least\":%ld,\"most\":%ld,\"rss_half\":%ld,\"rss_end\":%ld}\n",
	       c.calls, c.ns, c.least, c.most, c.rss_half, c.rss_end);
	fflush(stdout);
	kill(target, SIGKILL);
	while (wait(NULL) > 0)
		;
	return 0;
}

/* What a program tries with its supervisor, and callers that never answer or are nobody. */
#include "attack.h"
#include <sys/ptrace.h>
#include <sys/uio.h>

#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif

static long tries, got;

static void tried(int success, const char *what, pid_t pid)
{
	tries++;
	got += success;
	if (success)
		fprintf(stderr, "%s of %d\n", what, pid);
}

static void rob(pid_t pid)
{
	static const char *const files[] = {"mem", "environ", "maps", "auxv", "syscall", "stack", "fd/0", "fd/3", "fd/5", "cwd", "exe"};
	char path[64], c;
	struct iovec to = {&c, 1}, from = {(void *)0x400000, 1};
	int fd = pidfd_open_(pid, 0);
	for (int i = 0; i < 64; i++)
		tried(syscall(SYS_pidfd_getfd, fd, i, 0) >= 0, "a descriptor", pid);
	tried(ptrace(PTRACE_SEIZE, pid, 0, 0) == 0, "the tracing", pid);
	tried(ptrace(PTRACE_ATTACH, pid, 0, 0) == 0, "the tracing", pid);
	tried(process_vm_readv(pid, &to, 1, &from, 1, 0) >= 0, "the memory", pid);
	tried(process_vm_writev(pid, &to, 1, &from, 1, 0) >= 0, "the memory", pid);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "/proc/%d/%s", pid, files[i]);
		int opened = open(path, O_RDWR);
		if (opened < 0)
			opened = open(path, O_RDONLY);
		tried(opened >= 0 && read(opened, &c, 1) == 1, files[i], pid);
	}
}

/* As somebody of the supervisor's own uid, who is not root. */
int steal(void)
{
	char path[64];
	int pid, robbed = 0;
	pid_t friend_pid = start((void (*)(void *))(uintptr_t)pause, NULL);
	int fd = pidfd_open_(friend_pid, 0);
	for (int i = 0; i < 10; i++) { /* so that helpers are there */
		kill(friend_pid, 0);
		send_signal(fd, 0, NULL, 0);
	}
	rob(supervisor);
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", supervisor, supervisor);
	FILE *f = fopen(path, "r");
	while (f && fscanf(f, "%d", &pid) == 1)
		if (pid != getpid()) {
			rob(pid);
			robbed++;
		}
	say("helpers", robbed);
	say("attempts", tries);
	say("through", got);
	kill(friend_pid, SIGKILL);
	return 0;
}

static void stuck_caller(void *arg)
{
	const siginfo_t *info = silent_page();
	++*(atomic_int *)arg;
	for (;;) {
		send_signal(victim.fd, RT, info, 0);
		syscall(SYS_rt_sigqueueinfo, victim.pid, RT, info);
		syscall(SYS_rt_tgsigqueueinfo, victim.pid, victim.pid, RT, info);
	}
}

/* Callers whose siginfo is on a page that nobody fills, beside the usual ones. */
int stuck(void)
{
	enum { CALLERS = 6 };
	pid_t callers[CALLERS];
	meet();
	atomic_int *ready = shared(sizeof(*ready));
	for (int i = 0; i < CALLERS; i++)
		callers[i] = start(stuck_caller, ready);
	while (*ready < CALLERS)
		sched_yield();
	strike_all(&victim, counted, 1);
	strike_all(&friend, counted_friendly, 0);
	for (int i = 0; i < CALLERS; i++) {
		kill(callers[i], SIGKILL);
		reap(callers[i]);
	}
	return summary();
}

static atomic_int dropping = 1;

static void *as_root(void *arg)
{
	(void)arg;
	while (dropping)
		for (enum call call = 0; call < CALLS; call++)
			counted_friendly(strike(BY_LIBC, call, &friend, 0, 0));
	return NULL;
}

/* A thread that is nobody beside one that is root: the policy is about the former. */
int dropped(void)
{
	pthread_t thread;
	long calls = option("calls", 100);
	meet();
	pthread_create(&thread, NULL, as_root, NULL);
	must(syscall(SYS_setresuid, 65534, 0, 0) == 0, "setresuid"); /* this thread's real uid alone */
	for (long i = 0; i < calls; i++)
		for (enum call call = 0; call < CALLS; call++)
			counted(strike(BY_LIBC, call, &friend, 0, 0));
	must(syscall(SYS_setresuid, 0, 0, 0) == 0, "setresuid");
	for (enum call call = 0; call < CALLS; call++)
		counted_friendly(strike(BY_LIBC, call, &friend, 0, 0));
	dropping = 0;
	pthread_join(thread, NULL);
	return summary();
}

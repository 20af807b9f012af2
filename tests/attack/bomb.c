/* Children in numbers, each making one call; and the death of who answers them. */
#include "attack.h"
#include <ctype.h>
#include <dirent.h>

enum { WAVE = 16, PATIENCE = 100 * 1000000 };

static struct {
	atomic_long calls, answered, enosys, other, done;
} *count;
static int to_us, to_collector;

static void one(long i)
{
	siginfo_t info;
	long ret = 0;
	do {
		count->calls++;
		switch (i % 4) {
		case 0: ret = send_signal(to_us, 0, NULL, 0); break;
		case 1: ret = send_signal(to_collector, RT, queued(&info, RT, (int)i), 0); break;
		case 2: ret = send_signal(to_us, SIGWINCH, NULL, 0); break;
		case 3: ret = send_signal(to_collector, 0, NULL, 0); break;
		}
		count->answered += ret == 0 || ret == -EAGAIN;
		count->enosys += ret == -ENOSYS;
		count->other += ret != 0 && ret != -EAGAIN && ret != -ENOSYS;
	} while (ret == -EAGAIN);
	count->done++;
	_exit(0);
}

/* Every third child is an orphan when it calls: the supervisor reaps it. */
static void bear(long i)
{
	pid_t pid = fork();
	must(pid >= 0, "fork");
	if (pid > 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (i % 3 == 0 && fork() > 0)
		_exit(0);
	one(i);
}

static void take_all(void *arg)
{
	unsigned char *seen = arg;
	uint64_t set = 1ULL << (RT - 1) | 1ULL << RT;
	siginfo_t info;
	for (;;) {
		int sig = (int)syscall(SYS_rt_sigtimedwait, &set, &info, NULL, 8);
		if (sig == RT && seen[info.si_value.sival_int] < 255)
			seen[info.si_value.sival_int]++;
		if (sig == RT + 1)
			_exit(0);
	}
}

/* Processes of this pid namespace in a state; "Tt" are two. */
static int in_state(const char *states, int aloud)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	int n = 0;
	must(proc != NULL, "/proc");
	while ((entry = readdir(proc))) {
		char path[300], stat[512];
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/stat", entry->d_name);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		ssize_t got = fd < 0 ? 0 : read(fd, stat, sizeof(stat) - 1);
		close(fd);
		if (got <= 0)
			continue;
		stat[got] = 0;
		if (!strchr(states, strrchr(stat, ')')[2]))
			continue;
		n++;
		if (aloud)
			fprintf(stderr, "left: %.60s\n", stat);
	}
	closedir(proc);
	return n;
}

/* What is on its way to be reaped has its time. */
static int lasting(const char *states)
{
	int n;
	for (long long limit = now_us() + PATIENCE / 10; (n = in_state(states, 0)) > 0 && now_us() < limit;)
		sched_yield();
	return n;
}

/* The victim is one of those who answer: 1 the supervisor, 2 the tracer, 3 the front. */
static pid_t victim_of(long which)
{
	switch (which) {
	case 1: return supervisor;
	case 2: return (pid_t)status_of(getpid(), "TracerPid");
	case 3: return (pid_t)status_of(supervisor, "PPid");
	}
	return 0;
}

int bomb(void)
{
	long children = option("children", 2000), after = option("after", children), born = 0, living = 0;
	long tracer = status_of(getpid(), "TracerPid"), fds = 0, tracer_fds = 0, once = 0;
	pid_t victim = victim_of(option("victim", 0));
	unsigned char *seen = shared((size_t)children);
	siginfo_t info;
	count = shared(sizeof(*count));
	block_all();
	pid_t collector = start(take_all, seen);
	to_us = pidfd_open_(getpid(), 0);
	to_collector = pidfd_open_(collector, 0);
	must(to_us >= 0 && to_collector >= 0, "pidfd_open");
	send_signal(to_us, 0, NULL, 0);
	fds = open_fds(supervisor);
	tracer_fds = open_fds((pid_t)tracer);
	while (born < children || living > 0) {
		if (born < children && living < WAVE) {
			bear(born++);
			living++;
			continue;
		}
		if (victim > 1 && count->calls >= after) {
			kill(victim, SIGKILL);
			victim = 0;
		}
		if (waitpid(-1, NULL, 0) > 0)
			living--;
	}
	/* Orphans are others' to wait for; those that were killed are never done. */
	for (long long limit = now_us() + PATIENCE / (open_fds(supervisor) < 0 ? 20 : 2); count->done < children && now_us() < limit;)
		sched_yield();
	say("fds_start", fds);
	say("fds", open_fds(supervisor));
	say("tracer_fds_start", tracer_fds);
	say("tracer_fds", open_fds((pid_t)tracer));
	say("zombies", lasting("ZX"));
	say("stopped", lasting("Tt"));
	while (send_signal(to_collector, RT + 1, queued(&info, RT + 1, 0), 0) == -EAGAIN)
		sched_yield();
	kill(collector, count->enosys ? SIGKILL : 0);
	reap(collector);
	for (long i = 1; i < children; i += 4)
		once += seen[i] == 1;
	say("calls", count->calls);
	say("answered", count->answered);
	say("enosys", count->enosys);
	say("other", count->other);
	say("done", count->done);
	say("once", once);
	return 43;
}

static void late(int sig)
{
	(void)sig;
	in_state("RSDTtZX", 1);
	_exit(97);
}

/* Pid 1 of a namespace: runs a command and ends when nobody is left there at all. */
int ns_init(char **argv)
{
	int status, last = -1;
	must(getpid() == 1, "be pid 1");
	pid_t command = fork();
	must(command >= 0, "fork");
	if (command == 0) {
		execv(argv[0], argv);
		must(0, argv[0]);
	}
	signal(SIGALRM, late);
	alarm(PATIENCE / 1000000);
	for (pid_t pid; (pid = waitpid(-1, &status, 0)) > 0 || errno == EINTR;)
		if (pid == command)
			last = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	say("status", last);
	return 0;
}

/* Threads in numbers, with tables of their own, without a leader; and churn. */
#include "attack.h"

enum { MOST = 64 };

struct one {
	pthread_t thread;
	int index, fd;
	long calls, wrong;
};

static unsigned char *many_seen;
static long many_each;

static void *calls_many(void *arg)
{
	struct one *o = arg;
	siginfo_t info;
	for (long i = 0; i < many_each; i++) {
		long ret;
		while ((ret = send_signal(o->fd, RT, queued(&info, RT, (int)(o->index * many_each + i)), 0)) == -EAGAIN)
			sched_yield();
		o->wrong += ret != 0;
		o->wrong += send_signal(-1, 0, NULL, 0) != -EBADF;
		o->wrong += send_signal(o->fd, 65, NULL, 0) != -EINVAL;
		o->wrong += send_signal(o->fd, 0, (void *)8, 0) != -EFAULT;
		o->wrong += send_signal(o->fd, 0, NULL, 1u << 20) != -EINVAL;
		o->calls += 5;
	}
	return NULL;
}

static void counts(void *arg)
{
	uint64_t set = 1ULL << (RT - 1) | 1ULL << RT;
	siginfo_t info;
	(void)arg;
	for (;;) {
		int sig = (int)syscall(SYS_rt_sigtimedwait, &set, &info, NULL, 8);
		if (sig == RT)
			many_seen[info.si_value.sival_int]++;
		if (sig == RT + 1)
			_exit(0);
	}
}

/* 40 threads at once. */
int many(void)
{
	struct one all[MOST] = {0};
	long n = option("threads", 40), calls = 0, wrong = 0, once = 0;
	siginfo_t info;
	many_each = option("each", 50);
	many_seen = shared((size_t)(n * many_each));
	block_all();
	pid_t target = start(counts, NULL);
	int fd = pidfd_open_(target, 0);
	must(fd >= 0, "pidfd_open");
	for (int i = 0; i < n; i++) {
		all[i] = (struct one){.index = i, .fd = fd};
		must(pthread_create(&all[i].thread, NULL, calls_many, &all[i]) == 0, "pthread_create");
	}
	for (int i = 0; i < n; i++) {
		pthread_join(all[i].thread, NULL);
		calls += all[i].calls;
		wrong += all[i].wrong;
	}
	while (send_signal(fd, RT + 1, queued(&info, RT + 1, 0), 0) == -EAGAIN)
		sched_yield();
	must(reap(target) == 0, "the target");
	for (long i = 0; i < n * many_each; i++)
		once += many_seen[i] == 1;
	say("calls", calls);
	say("wrong", wrong);
	say("lost", n * many_each - once);
	return 0;
}

struct target {
	pid_t pid;
	int fd;
};

static void waits(void *arg)
{
	(void)arg;
	for (;;)
		pause();
}

static struct target target(void)
{
	struct target t = {.pid = start(waits, NULL)};
	t.fd = pidfd_open_(t.pid, 0);
	must(t.fd >= 0, "pidfd_open");
	return t;
}

/* What waits for a process. The signals here are standard ones, which merge: the user's
   limit of queued signals is everybody's. */
static unsigned long long pending_mask(pid_t pid)
{
	char path[40], line[256];
	unsigned long long mask = 0;
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	FILE *f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		sscanf(line, "ShdPnd: %llx", &mask);
	if (f)
		fclose(f);
	return mask;
}

static struct target left, right, third;

static void *own_table(void *arg)
{
	struct one *o = arg;
	siginfo_t info;
	if (o->index) {
		must(unshare(CLONE_FILES) == 0, "unshare");
		must(dup2(right.fd, o->fd) == o->fd, "dup2"); /* the process's is still left */
	}
	for (int i = 0; i < 200; i++) {
		int sig = o->index ? SIGUSR2 : SIGUSR1;
		o->wrong += send_signal(o->fd, sig, i % 2 ? queued(&info, sig, i) : NULL, 0) != 0;
		o->calls++;
	}
	return NULL;
}

/* One number, two tables: each thread's own counts. */
int private_table(void)
{
	struct one all[2] = {0};
	block_all();
	left = target();
	right = target();
	int fd = dup(left.fd);
	for (int i = 0; i < 2; i++) {
		all[i] = (struct one){.index = i, .fd = fd};
		pthread_create(&all[i].thread, NULL, own_table, &all[i]);
	}
	for (int i = 0; i < 2; i++)
		pthread_join(all[i].thread, NULL);
	say("wrong", all[0].wrong + all[1].wrong);
	say("left", pending_mask(left.pid) == 1ULL << (SIGUSR1 - 1));
	say("right", pending_mask(right.pid) == 1ULL << (SIGUSR2 - 1));
	kill(left.pid, SIGKILL), kill(right.pid, SIGKILL);
	return 0;
}

static int result_pipe[2];

static int is_zombie(pid_t pid)
{
	char path[40], line[256], state = 0;
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	FILE *f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		sscanf(line, "State: %c", &state);
	if (f)
		fclose(f);
	return state == 'Z';
}

static void *after_leader(void *arg)
{
	pid_t pid = getpid();
	siginfo_t info;
	(void)arg;
	while (!is_zombie(pid))
		sched_yield();
	long wrong = 0;
	for (int i = 0; i < 100; i++)
		wrong += send_signal(left.fd, SIGUSR1, i % 2 ? queued(&info, SIGUSR1, i) : NULL, 0) != 0;
	wrong += send_signal(-1, 0, NULL, 0) != -EBADF;
	must(write(result_pipe[1], &wrong, sizeof(wrong)) == sizeof(wrong), "write");
	_exit(0);
}

static void leader(void *arg)
{
	pthread_t thread;
	(void)arg;
	pthread_create(&thread, NULL, after_leader, NULL);
	syscall(SYS_exit, 0);
}

/* A thread whose leader has ended. */
int no_leader(void)
{
	long wrong = -1;
	block_all();
	must(pipe(result_pipe) == 0, "pipe");
	left = target();
	pid_t pid = start(leader, NULL);
	must(read(result_pipe[0], &wrong, sizeof(wrong)) == sizeof(wrong), "read");
	reap(pid);
	say("wrong", wrong);
	say("arrived", pending_mask(left.pid) == 1ULL << (SIGUSR1 - 1));
	kill(left.pid, SIGKILL);
	return 0;
}

static atomic_int flip_stop;
static int flipped;

static void *flips(void *arg)
{
	(void)arg;
	while (!flip_stop) {
		dup2(left.fd, flipped);
		dup2(right.fd, flipped);
	}
	return NULL;
}

/* A descriptor that another thread swaps: one of the two named ones, never a third. The
   calls go on until both have been hit. */
int flip(void)
{
	pthread_t thread;
	long wrong = 0, calls = 0;
	siginfo_t info;
	block_all();
	left = target();
	third = target();
	right = target();
	flipped = dup(left.fd);
	pthread_create(&thread, NULL, flips, NULL);
	for (long least = option("calls", 5000); calls < least || !(pending_mask(left.pid) && pending_mask(right.pid)); calls++) {
		long ret = send_signal(flipped, SIGUSR1, calls % 2 ? queued(&info, SIGUSR1, 1) : NULL, 0);
		wrong += ret != 0;
	}
	flip_stop = 1;
	pthread_join(thread, NULL);
	say("calls", calls);
	say("wrong", wrong);
	say("left", pending_mask(left.pid) == 1ULL << (SIGUSR1 - 1));
	say("right", pending_mask(right.pid) == 1ULL << (SIGUSR1 - 1));
	say("third", pending_mask(third.pid) != 0);
	kill(left.pid, SIGKILL), kill(right.pid, SIGKILL), kill(third.pid, SIGKILL);
	return 0;
}

static void *one_call(void *arg)
{
	return (void *)(intptr_t)(send_signal(*(int *)arg, 0, NULL, 0) != 0);
}

static void one_forked_call(void *arg)
{
	siginfo_t info;
	_exit(send_signal(*(int *)arg, 0, queued(&info, 0, 1), 0) != 0);
}

/* Many short lives, one call each. */
int churn(void)
{
	long rounds = option("rounds", 1000), wrong = 0, fds = 0, rss = 0;
	block_all();
	left = target();
	for (long i = 0; i < rounds; i++) {
		pthread_t thread;
		void *bad = NULL;
		wrong += reap(start(one_forked_call, &left.fd)) != 0;
		pthread_create(&thread, NULL, one_call, &left.fd);
		pthread_join(thread, &bad);
		wrong += bad != NULL;
		if (i == rounds / 2) { /* the caches are full by now */
			fds = open_fds(supervisor);
			rss = status_of(supervisor, "VmRSS");
		}
	}
	say("wrong", wrong);
	say("fds_half", fds);
	say("fds", open_fds(supervisor));
	say("rss_half", rss);
	say("rss", status_of(supervisor, "VmRSS"));
	kill(left.pid, SIGKILL);
	return 0;
}

/* Callers that are interrupted all the time, by a timer and by what they send. */
#include "attack.h"
#include <sys/signalfd.h>

#define DONE (RT + 1) /* real-time signals come lowest number first: after all of RT's */

static void on_tick(int sig, siginfo_t *info, void *context) { (void)sig, (void)info, (void)context; }

static void timer(long us)
{
	struct itimerval every = {{0, us}, {0, us}};
	setitimer(ITIMER_REAL, &every, NULL);
}

static long retries_eintr, retries_eagain;
static atomic_long *attempts, *heckled;

/* Interrupts its parent in every other attempt, at any moment of it. The rest get
   through, however slow the machine is: a timer could leave no time for any. */
static void heckle(void *arg)
{
	pid_t caller = *(pid_t *)arg;
	for (long seen = 0, now;; seen = now) {
		while ((now = *attempts) == seen || now % 2 == 0)
			sched_yield();
		kill(caller, SIGALRM);
		++*heckled;
	}
}

static pid_t heckler(void)
{
	static pid_t caller;
	attempts = shared(2 * sizeof(*attempts));
	heckled = attempts + 1;
	if (!option("heckle", 0))
		return 0;
	caller = getpid();
	return start(heckle, &caller);
}

static void heckler_ends(pid_t pid)
{
	if (pid == 0)
		return;
	kill(pid, SIGKILL);
	reap(pid);
	say("heckled", *heckled);
}

/* What a program does that means to send once. */
static void send_once(int fd, int sig, const siginfo_t *info, unsigned flags)
{
	for (;;) {
		if (attempts)
			++*attempts;
		long ret = send_signal(fd, sig, info, flags);
		if (ret == 0)
			return;
		errno = (int)-ret;
		must(ret == -EINTR || ret == -EAGAIN, "send");
		retries_eintr += ret == -EINTR;
		retries_eagain += ret == -EAGAIN;
		if (ret == -EAGAIN)
			sched_yield();
	}
}

static void say_counts(const unsigned char *seen, long values)
{
	long once = 0, lost = 0, duplicates = 0;
	for (long i = 0; i < values; i++) {
		once += seen[i] == 1;
		lost += seen[i] == 0;
		duplicates += seen[i] > 1 ? seen[i] - 1 : 0;
	}
	say("once", once);
	say("lost", lost);
	say("duplicates", duplicates);
	say("eintr", retries_eintr);
	say("eagain", retries_eagain);
}

struct collector {
	long values;
	int signalfd;
	unsigned char seen[];
};

static int next_waited(int *value)
{
	uint64_t set = 1ULL << (RT - 1) | 1ULL << (DONE - 1);
	siginfo_t info;
	int sig;
	do
		sig = (int)syscall(SYS_rt_sigtimedwait, &set, &info, NULL, 8);
	while (sig < 0 && errno == EINTR);
	*value = info.si_value.sival_int;
	return sig;
}

static int next_read(int fd, int *value)
{
	struct signalfd_siginfo info;
	ssize_t n;
	do
		n = read(fd, &info, sizeof(info));
	while (n < 0 && errno == EINTR);
	must(n == sizeof(info), "read signalfd");
	*value = info.ssi_int;
	return (int)info.ssi_signo;
}

/* Signals were blocked before the fork. */
static void collect(void *arg)
{
	struct collector *c = arg;
	int fd = -1, sig, value = 0;
	if (c->signalfd) {
		uint64_t set = 1ULL << (RT - 1) | 1ULL << (DONE - 1);
		fd = (int)syscall(SYS_signalfd4, -1, &set, 8, SFD_CLOEXEC);
		must(fd >= 0, "signalfd");
	}
	while ((sig = fd < 0 ? next_waited(&value) : next_read(fd, &value)) == RT)
		if (value >= 0 && value < c->values && c->seen[value] < 255)
			c->seen[value]++;
	_exit(sig == DONE ? 0 : 1);
}

static struct collector *collector_start(long values, int with_signalfd, pid_t *pid, int *fd)
{
	struct collector *c = shared(sizeof(*c) + (size_t)values);
	uint64_t none = 0;
	c->values = values;
	c->signalfd = with_signalfd;
	block_all();
	*pid = start(collect, c);
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, 8);
	*fd = pidfd_open_(*pid, 0);
	must(*fd >= 0, "pidfd_open");
	return c;
}

/* Distinct values to a child. */
int storm(void)
{
	long values = option("values", 20000);
	pid_t pid;
	int fd;
	siginfo_t info;
	struct collector *c = collector_start(values, (int)option("signalfd", 0), &pid, &fd);
	raw_handler(SIGALRM, on_tick, option("restart", 0) ? SA_RESTART : 0);
	pid_t by = heckler();
	if (by == 0)
		timer(100);
	for (long i = 0; i < values; i++)
		send_once(fd, RT, queued(&info, RT, (int)i), 0);
	timer(0);
	heckler_ends(by);
	send_once(fd, DONE, queued(&info, DONE, 0), 0);
	must(reap(pid) == 0, "the collector");
	say_counts(c->seen, values);
	return 0;
}

static unsigned char *own_seen;
static long own_values;

static void on_own(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)context;
	int value = info->si_value.sival_int;
	if (value >= 0 && value < own_values && own_seen[value] < 255)
		own_seen[value]++;
}

/* Distinct values to oneself: the signal interrupts the very call that sends it. */
int self_storm(void)
{
	long values = option("values", 5000);
	int flags = option("restart", 0) ? SA_RESTART : 0, fd = pidfd_open_(getpid(), 0), late = 0;
	siginfo_t info;
	own_values = values;
	own_seen = shared((size_t)values);
	raw_handler(RT, on_own, flags);
	raw_handler(SIGALRM, on_tick, flags);
	pid_t by = heckler();
	if (by == 0 && option("timer", 1))
		timer(100);
	for (long i = 0; i < values; i++) {
		send_once(fd, RT, queued(&info, RT, (int)i), 0);
		late += own_seen[i] == 0; /* natively it is there when the call returns */
	}
	timer(0);
	heckler_ends(by);
	say_counts(own_seen, values);
	say("late", late);
	return 0;
}

enum { MEMBERS = 4 };

static void member(void *arg)
{
	(void)arg;
	for (;;)
		pause();
}

/* Distinct values to a process group that the caller is in. Each member has a part of
   the shared bytes; the handlers are set before the forks. */
int group_storm(void)
{
	long values = option("values", 500);
	int flags = option("restart", 0) ? SA_RESTART : 0;
	unsigned char *all = shared((size_t)values * MEMBERS);
	pid_t members[MEMBERS];
	siginfo_t info;
	must(setpgid(0, 0) == 0 || getpgrp() == getpid(), "setpgid");
	own_values = values;
	raw_handler(RT, on_own, flags);
	raw_handler(SIGALRM, on_tick, flags);
	for (int i = 1; i < MEMBERS; i++) {
		own_seen = all + i * values;
		members[i] = start(member, NULL);
	}
	own_seen = all;
	int fd = pidfd_open_(getpid(), 0);
	timer(100);
	for (long i = 0; i < values; i++)
		send_once(fd, RT, queued(&info, RT, (int)i), 4 /* PIDFD_SIGNAL_PROCESS_GROUP */);
	timer(0);
	for (int i = 1; i < MEMBERS; i++) {
		long long limit = now_us() + 60000000;
		while (((volatile unsigned char *)all)[(i + 1) * values - 1] == 0 && now_us() < limit)
			sched_yield();
		kill(members[i], SIGKILL);
		reap(members[i]);
	}
	say_counts(all, values * MEMBERS);
	return 0;
}

struct victim {
	int fd;
	long first, count;
	atomic_long *sent;
};

static void send_all(void *arg)
{
	struct victim *v = arg;
	siginfo_t info;
	for (long i = v->first; i < v->first + v->count; i++, ++*v->sent)
		send_once(v->fd, RT, queued(&info, RT, (int)i), 0);
}

/* Callers killed at any moment, each after some sends of its own: what they sent came at
   most once, nobody hangs. */
int killed(void)
{
	long callers = option("callers", 300), each = 1000;
	pid_t pid;
	int fd;
	siginfo_t info;
	struct collector *c = collector_start(callers * each, 0, &pid, &fd);
	send_once(fd, 0, NULL, 0);
	long before = open_fds(supervisor);
	unsigned seed = (unsigned)option("seed", 1);
	atomic_long *sent = shared(sizeof(*sent));
	for (long n = 0; n < callers; n++) {
		struct victim v = {fd, n * each, each, sent};
		*sent = 0;
		pid_t caller = start(send_all, &v);
		for (long some = rand_r(&seed) % 20; *sent < some;)
			sched_yield();
		long long until = now_us() + rand_r(&seed) % 200;
		while (now_us() < until)
			;
		kill(caller, SIGKILL);
		reap(caller);
	}
	for (int i = 0; i < 20; i++) /* the last ones' leftovers go with later calls */
		send_once(fd, 0, NULL, 0);
	say("fds_before", before);
	say("fds_after", open_fds(supervisor));
	send_once(fd, DONE, queued(&info, DONE, 0), 0);
	must(reap(pid) == 0, "the collector");
	say_counts(c->seen, callers * each);
	return 0;
}

static atomic_long came;
static void comes(int sig, siginfo_t *info, void *context) { (void)sig, (void)info, (void)context, came++; }

/* Signals to itself whose answer gets lost, which it takes for final, and the same again
   after another call or some time: what returns 0 must come. */
int lost_answer(void)
{
	siginfo_t info;
	long missing = 0, eintr = 0, zero = 0, calls = option("calls", 200), pause_ms = option("pause", 0);
	int self = pidfd_open_(getpid(), 0);
	raw_handler(SIGUSR1, comes, 0);
	for (long i = 0; i < calls; i++) {
		long before = came, ret = send_signal(self, SIGUSR1, queued(&info, SIGUSR1, 7), 0);
		for (int wait = 0; wait < 2000 && came == before; wait++)
			usleep(1000);
		eintr += ret == -EINTR;
		zero += ret == 0;
		missing += came != before + 1;
		if (pause_ms)
			usleep((useconds_t)pause_ms * 1000);
		else
			must(send_signal(-1, 0, NULL, 0) == -EBADF, "send to no descriptor");
	}
	say("missing", missing);
	say("eintr", eintr);
	say("zero", zero);
	return 0;
}

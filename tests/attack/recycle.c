/* Numbers that come back. Precondition: the supervisor is in our own pid namespace,
   which nobody else forks in (tests start us with unshare -pf --mount-proc). */
#include "recycle.h"
#include <linux/sched.h>

static void next_number(pid_t pid)
{
	char text[16];
	int fd = open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);
	must(fd >= 0, "ns_last_pid");
	int n = snprintf(text, sizeof(text), "%d", pid - 1);
	must(write(fd, text, (size_t)n) == n, "write ns_last_pid");
	close(fd);
}

/* A new process with an old number. The kernel may still be at freeing it; 0 tries left
   mean that somebody else has it, a thread of the supervisor's perhaps: -1. */
static pid_t fork_as(pid_t pid, int by_set_tid)
{
	for (int tries = 2000; tries > 0; tries--) {
		pid_t got;
		if (by_set_tid) {
			struct clone_args args = {.exit_signal = SIGCHLD, .set_tid = (uintptr_t)&pid, .set_tid_size = 1};
			got = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
			if (got >= 0 || errno != EEXIST)
				return got;
			sched_yield();
			continue;
		}
		next_number(pid);
		got = fork();
		if (got <= 0 || got == pid)
			return got;
		kill(got, SIGKILL);
		reap(got);
	}
	return -1;
}

void pending_forever(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		pause();
}

uint64_t pending(pid_t pid)
{
	char path[40], line[256];
	unsigned long long own = 0, all = 0, value;
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	FILE *f = fopen(path, "r");
	must(f != NULL, path);
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "SigPnd: %llx", &value) == 1)
			own = value;
		if (sscanf(line, "ShdPnd: %llx", &value) == 1)
			all = value;
	}
	fclose(f);
	return own | all;
}

static void *thread_dies(void *arg)
{
	*(pid_t *)arg = (pid_t)syscall(SYS_gettid);
	while (*(volatile pid_t *)arg)
		sched_yield();
	return NULL;
}

/* Stale descriptors of every kind; each result is a line, and so is what hit. */
int recycled(void)
{
	static const int sigs[] = {0, SIGTERM, SIGKILL, SIGSTOP, RT, 65};
	int by_set_tid = (int)option("set_tid", 0);
	pid_t tid = 0;
	pthread_t thread;
	siginfo_t info;
	uint64_t none = 0;
	pthread_create(&thread, NULL, thread_dies, &tid);
	while (!*(volatile pid_t *)&tid)
		sched_yield();
	pid_t old_tid = tid;
	int thread_fd = pidfd_open_(old_tid, PIDFD_THREAD), thread_dir = proc_dir(old_tid);
	tid = 0;
	pthread_join(thread, NULL);
	while (syscall(SYS_tgkill, getpid(), old_tid, 0) == 0)
		sched_yield();

	pid_t old = fork();
	must(old >= 0, "fork");
	if (old == 0)
		pending_forever();
	setpgid(old, old);
	int fds[] = {pidfd_open_(old, 0), proc_dir(old), thread_fd, thread_dir};
	static const char *const kinds[] = {"pidfd", "dir", "thread", "thread-dir"};
	kill(old, SIGKILL);
	reap(old);

	block_all();
	pid_t owners[2] = {fork_as(old, by_set_tid), 0};
	if (owners[0] == 0)
		pending_forever();
	setpgid(owners[0], owners[0]);
	owners[1] = fork_as(old_tid, by_set_tid);
	if (owners[1] == 0)
		pending_forever();
	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, NULL, 8);
	if (owners[0] != old || owners[1] != old_tid) {
		for (int i = 0; i < 2; i++)
			if (owners[i] > 0)
				kill(owners[i], SIGKILL);
		start_over();
	}

	for (int f = 0; f < 4; f++)
		for (size_t s = 0; s < sizeof(sigs) / sizeof(sigs[0]); s++)
			for (unsigned flags = 0; flags <= 4; flags = flags ? flags * 2 : 1) {
				printf("%s/sig=%d/flags=%u %s", kinds[f], sigs[s], flags, name_of(send_signal(fds[f], sigs[s], NULL, flags)));
				printf(" with info %s\n", name_of(send_signal(fds[f], sigs[s], queued(&info, sigs[s], 1), flags)));
			}
	for (int i = 0; i < 2; i++) {
		printf("owner %d pending=%llx", i, (unsigned long long)pending(owners[i]));
		kill(owners[i], SIGKILL);
		reap(owners[i]);
		printf("\n");
	}
	return 0;
}

/* The race: one thread recycles a number while two others send, without pause, through
   the descriptors of those who had it. Owners are signalled by nobody. Each step waits
   for what a sender did, so a round is the same race on a machine of any speed: the
   victim gets signals, dies during a send, and its successor lives through a whole send
   of each. The signal is one that merges: the user's limit of queued ones is everybody's. */
struct sender {
	pthread_t thread;
	int plain;                    /* sends without a siginfo */
	atomic_long begun, done, good; /* sends */
	atomic_long took;             /* the last one, in microseconds */
};
static struct sender senders[2] = {{.plain = 0}, {.plain = 1}};
static atomic_int stale = -1;
static atomic_int stop;

static void *sends(void *arg)
{
	struct sender *s = arg;
	siginfo_t info;
	block_all();
	while (!stop) {
		long long from = now_us();
		s->begun++;
		long ret = send_signal(stale, SIGUSR1, s->plain ? NULL : queued(&info, SIGUSR1, 1), 0);
		s->good += ret == 0;
		s->took = (long)(now_us() - from);
		s->done++;
	}
	return NULL;
}

/* Reached only if nothing moves. */
static void not_after(long long limit, const char *what)
{
	errno = ETIMEDOUT;
	must(now_us() < limit, what);
	sched_yield();
}

void until_past(atomic_long *count, long value, const char *what)
{
	for (long long limit = now_us() + 60000000; *count <= value;)
		not_after(limit, what);
}

pid_t child_as(pid_t number)
{
	pid_t pid = -1;
	for (long long limit = now_us() + 60000000; pid < 0;) { /* a guard may hold it */
		pid = number ? fork_as(number, 1) : fork();
		not_after(limit, "fork");
	}
	return pid;
}

/* The descriptor's victim gets a signal of each sender. */
static void publish(int fd)
{
	long good[2] = {senders[0].good, senders[1].good};
	int old = atomic_exchange(&stale, fd);
	if (old >= 0)
		close(old);
	for (int i = 0; i < 2; i++)
		until_past(&senders[i].good, good[i], "no signal reaches a living target");
}

/* Kills the victim at some moment of a send; whether it was before the send's end. What
   the last one took says nothing where it waited for a processor. */
static int kill_during_send(pid_t victim, struct sender *s, unsigned *seed)
{
	until_past(&s->begun, s->begun, "no send begins");
	long send = s->begun, length = s->took < 300 ? s->took : 300;
	long long moment = now_us() + rand_r(seed) % (length + 1);
	while (now_us() < moment)
		;
	kill(victim, SIGKILL);
	return s->done < send;
}

/* Whether the number's new owner got a signal in a whole send of each sender. */
static int is_hit(pid_t owner)
{
	long begun[2] = {senders[0].begun, senders[1].begun};
	for (int i = 0; i < 2; i++)
		until_past(&senders[i].done, begun[i], "a send through a stale descriptor does not end");
	return pending(owner) != 0;
}

int recycling(void)
{
	long want = option("raced", 100), rounds = 0, raced = 0, hits = 0;
	unsigned seed = 1;
	block_all();
	pid_t number = 0;
	for (int i = 0; i < 2; i++)
		pthread_create(&senders[i].thread, NULL, sends, &senders[i]);
	for (; raced < want; rounds++) {
		pid_t victim = child_as(number);
		if (victim == 0)
			pending_forever();
		number = victim;
		int fd = option("dir", 0) ? proc_dir(victim) : pidfd_open_(victim, 0);
		must(fd >= 0, "pidfd_open");
		publish(fd);
		raced += kill_during_send(victim, &senders[rounds % 2], &seed);
		reap(victim);
		pid_t owner = child_as(number);
		if (owner == 0)
			pending_forever();
		hits += is_hit(owner);
		kill(owner, SIGKILL);
		reap(owner);
	}
	stop = 1;
	for (int i = 0; i < 2; i++)
		pthread_join(senders[i].thread, NULL);
	say("rounds", rounds);
	say("raced", raced);
	say("sends", senders[0].done + senders[1].done);
	say("good", senders[0].good + senders[1].good);
	say("hits", hits);
	return 0;
}

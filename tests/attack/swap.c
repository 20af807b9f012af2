/* What is judged is what is sent: descriptors and siginfo swapped by others meanwhile. */
#include "attack.h"
#include <sys/uio.h>

static int swapped;
static atomic_int *swap_stop;

static void *swap_descriptors(void *arg)
{
	(void)arg;
	while (!*swap_stop) {
		dup2(victim.fd, swapped);
		dup2(friend.fd, swapped);
	}
	return NULL;
}

static int swap_in_sibling(void *arg)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	swap_descriptors(arg);
	_exit(0);
}

/* So many calls, and more until both have been seen: the swapper may not have run yet. */
static int goes_on(long made, long wanted, long denied, long done)
{
	if (made < wanted)
		return 1;
	sched_yield();
	return (denied < 5 || done < 5) && made < 500 * wanted;
}

/* A descriptor that a thread, or a process with the same table, swaps. */
int swap_fd(void)
{
	static char stack[65536] __attribute__((aligned(16)));
	long wanted = option("calls", 2000), calls = 0, denied = 0, done = 0;
	pthread_t thread;
	pid_t sibling = 0;
	siginfo_t info;
	meet();
	swap_stop = shared(sizeof(*swap_stop));
	swapped = dup(friend.fd);
	if (option("sibling", 0))
		sibling = clone(swap_in_sibling, stack + sizeof(stack), CLONE_FILES | SIGCHLD, NULL);
	else
		pthread_create(&thread, NULL, swap_descriptors, NULL);
	for (; goes_on(calls, wanted, denied, done); calls++) {
		int sig = calls & 4 ? SIGUSR1 : SIGTERM;
		long ret = send_signal(swapped, sig, calls & 1 ? queued(&info, sig, 1) : NULL, calls & 2 ? 2 : 0);
		denied += ret == -EACCES;
		done += ret == 0;
	}
	*swap_stop = 1;
	if (sibling)
		reap(sibling);
	else
		pthread_join(thread, NULL);
	say("denied", denied);
	say("done", done);
	say("attempts", calls);
	say("through", 0); /* the victim shows it */
	kill(friend.pid, SIGKILL);
	return 0;
}

/* The receiver counts what must not come: value 666, or code -2. */
struct seen {
	atomic_long bad, good;
	atomic_int quit;
	siginfo_t record; /* swapped, where it is a shared mapping */
};

static void *drain(void *arg)
{
	struct seen *seen = arg;
	uint64_t set = 1ULL << (RT - 1) | 1ULL << RT;
	siginfo_t info;
	for (;;) {
		int sig = (int)syscall(SYS_rt_sigtimedwait, &set, &info, NULL, 8);
		if (sig == RT && (info.si_value.sival_int == 666 || info.si_code == -2))
			seen->bad++;
		else if (sig == RT)
			seen->good++;
		if (sig == RT + 1)
			_exit(0);
	}
}

static void receive(void *arg) { drain(arg); }

/* The words that are swapped: an allowed value and a denied one, the code alike. */
static void write_words(siginfo_t *at, int bad, int codes)
{
	if (codes)
		((volatile siginfo_t *)at)->si_code = bad ? -2 : SI_QUEUE;
	else
		((volatile siginfo_t *)at)->si_value.sival_int = bad ? 666 : 1;
}

struct swapper {
	siginfo_t *at;
	int codes, remote;
	pid_t of;
};

static void *swap_words(void *arg)
{
	struct swapper *s = arg;
	siginfo_t copies[2];
	for (int i = 0; i < 2; i++) {
		queued(&copies[i], RT, 1);
		write_words(&copies[i], i, s->codes);
	}
	for (int bad = 0; !*swap_stop; bad = !bad) {
		struct iovec from = {&copies[bad], sizeof(siginfo_t)}, to = {s->at, sizeof(siginfo_t)};
		if (s->remote)
			must(process_vm_writev(s->of, &from, 1, &to, 1, 0) == sizeof(siginfo_t), "process_vm_writev");
		else
			write_words(s->at, bad, s->codes);
	}
	return NULL;
}

static void swap_words_outside(void *arg) { swap_words(arg); }

/* how: 0 a thread, 1 a process with the page, 2 process_vm_writev. */
int swap_info(void)
{
	long wanted = option("calls", 2000), calls = 0, denied = 0, done = 0, other = 0;
	int how = (int)option("how", 0);
	static siginfo_t own;
	struct seen *seen = shared(sizeof(*seen));
	struct whom to;
	pthread_t thread;
	pid_t outside = 0;
	block_all();
	swap_stop = shared(sizeof(*swap_stop));
	struct swapper s = {how == 1 ? &seen->record : &own, (int)option("codes", 0), how == 2, getpid()};
	queued(s.at, RT, 1);
	to.pid = to.tid = start(receive, seen);
	to.fd = pidfd_open_(to.pid, 0);
	if (how == 0)
		pthread_create(&thread, NULL, swap_words, &s);
	else
		outside = start(swap_words_outside, &s);
	for (; goes_on(calls, wanted, denied, done); calls++) {
		long ret = 0;
		switch (calls % 3) {
		case 0: ret = send_signal(to.fd, RT, s.at, 0); break;
		case 1: ret = syscall(SYS_rt_sigqueueinfo, to.pid, RT, s.at) == 0 ? 0 : -errno; break;
		case 2: ret = syscall(SYS_rt_tgsigqueueinfo, to.pid, to.tid, RT, s.at) == 0 ? 0 : -errno; break;
		}
		denied += ret == -EACCES;
		done += ret == 0;
		other += ret != 0 && ret != -EACCES && ret != -EAGAIN;
	}
	*swap_stop = 1;
	if (outside)
		reap(outside);
	else
		pthread_join(thread, NULL);
	siginfo_t last;
	while (send_signal(to.fd, RT + 1, queued(&last, RT + 1, 0), 0) == -EAGAIN)
		sched_yield();
	must(reap(to.pid) == 0, "the receiver");
	say("attempts", calls);
	say("denied", denied);
	say("done", done);
	say("odd", other);
	say("received", seen->good);
	say("through", seen->bad);
	return 0;
}

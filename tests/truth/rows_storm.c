/* More than one call: order, merging, limits, storms of signals. */
#include "truth.h"
#include <sys/resource.h>
#include <sys/time.h>

static int others_fd(struct scene *sc)
{
	recv_block(SIGWAIT);
	target_start(sc);
	recv_unblock();
	int fd = pidfd_of(sc->pid, 0);
	must(fd, "pidfd_open");
	return fd;
}

static void queue_row(enum recv r, enum entry how)
{
	struct scene sc = {.recv = r};
	int fd = others_fd(&sc);
	const void *info = info_at(&QUEUE, 40, how);
	for (int i = 0; i < 5; i++) {
		info_value(info, how, 100 + i);
		send_row(how, fd, 40, info, 0);
	}
	target_end(&sc);
}

/* A standard signal that is pending already: the first one stays. */
static void merge_row(int null_first)
{
	struct scene sc = {.recv = SIGWAIT};
	int fd = others_fd(&sc);
	const void *info = info_at(&QUEUE, SIGUSR1, PLAIN);
	note(CALLER, " first=%s", result(send_raw(PLAIN, fd, SIGUSR1, null_first ? NULL : info, 0)));
	send_row(PLAIN, fd, SIGUSR1, null_first ? info : NULL, 0);
	target_end(&sc);
}

/* No room to queue: refused or told without its siginfo. */
static void limit_row(int sig, const struct info *info, int self, enum recv r)
{
	static const struct rlimit none;
	static const struct cred user = {31000, 31000, 31000};
	struct scene sc = {.recv = r, .cred = &user};
	set_cred(&(struct cred){31000, 0, 0});
	must(setrlimit(RLIMIT_SIGPENDING, &none), "setrlimit");
	int fd;
	if (self) {
		recv_prepare(r);
		set_cred(&user);
		fd = pidfd_of(getpid(), 0);
	} else {
		fd = others_fd(&sc);
	}
	send_row(PLAIN, fd, sig, info_at(info, sig, PLAIN), 0);
	if (self)
		recv_collect(r, CALLER);
	else
		target_end(&sc);
}

static volatile int ticks;
static void on_tick(int sig, siginfo_t *info, void *context) { (void)sig, (void)info, (void)context, ticks++; }

static void storm(int microseconds)
{
	struct itimerval every = {{0, microseconds}, {0, microseconds}};
	setitimer(ITIMER_REAL, &every, NULL);
}

enum { STORM = 20 };

/* Many calls while a timer interrupts: each is answered, each arrives once. */
static void storm_row(unsigned long flags, const struct info *info, int self)
{
	struct scene sc = {.recv = SIGWAIT};
	int fd, refused = 0, interrupted = 0;
	if (self) {
		uint64_t set = ~0ULL & ~(1ULL << (SIGALRM - 1));
		recv_prepare(SIGWAIT);
		syscall(SYS_rt_sigprocmask, SIG_SETMASK, &set, NULL, 8);
		fd = pidfd_of(getpid(), 0);
	} else {
		fd = others_fd(&sc);
	}
	const void *at = info_at(info, 40, PLAIN);
	raw_action(SIGALRM, on_tick, flags);
	storm(100);
	for (int i = 0; i < STORM; i++) {
		int before_tick = ticks;
		if (at)
			info_value(at, PLAIN, i);
		long ret = send_row(PLAIN, fd, 40, at, 0);
		interrupted += ret == -EINTR;
		refused += ret != 0 && ret != -EINTR;
		while (ticks == before_tick)
			;
	}
	storm(0);
	raw_ignore(SIGALRM);
	note(CALLER, " eintr=%d refused=%d", interrupted, refused);
	if (self)
		recv_collect(SIGWAIT, CALLER);
	else
		target_end(&sc);
}

static void sequences(void)
{
	for (int r = HANDLER; r <= SIGNALFD; r++)
		for (int how = 0; how < entries; how++)
			ROW("many/queue=5/recv=%s/entry=%s", recv_name[r], entry_name[how])
				queue_row((enum recv)r, (enum entry)how);
	ROW("many/merge/first=NULL")
		merge_row(1);
	ROW("many/merge/first=SI_QUEUE")
		merge_row(0);
}

static void limits(void)
{
	static const int sigs[] = {SIGUSR1, 34, SIGKILL};
	static const struct info *const infos[] = {&NULLINFO, &QUEUE, &codes[2]};
	for (int self = 0; self < 2; self++)
		for (int s = 0; s < NELEM(sigs) - self; s++)
			for (int i = 0; i < NELEM(infos); i++)
				for (int r = SIGWAIT; r <= SIGNALFD; r++)
					ROW("limit=sigpending/to=%s/sig=%s/info=%s/recv=%s", self ? "self" : "target", sig_name(sigs[s]), infos[i]->name, recv_name[r])
						limit_row(sigs[s], infos[i], self, (enum recv)r);
	ROW("limit=sigpending/to=self/sig=34/info=SI_USER/recv=sigwait")
		limit_row(34, &codes[1], 1, SIGWAIT);
}

static void storms(void)
{
	for (int self = 0; self < 2; self++)
		for (int restart = 0; restart < 2; restart++) {
			unsigned long flags = restart ? SA_RESTART : 0;
			ROW("storm/restart=%d/to=%s/info=NULL", restart, self ? "self" : "target")
				storm_row(flags, &NULLINFO, self);
			ROW("storm/restart=%d/to=%s/info=SI_QUEUE", restart, self ? "self" : "target")
				storm_row(flags, &QUEUE, self);
		}
}

void rows_storm(void)
{
	sequences();
	limits();
	storms();
}
